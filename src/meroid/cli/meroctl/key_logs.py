"""`meroctl account verify-log`: copies of a key log, verified offline."""

from meroid.account.account_state import VerifiedKeyLog
from meroid.account.key_log import verify_key_log
from meroid.account.key_log_branches import resolve_key_log
from meroid.account.key_log_text import parse_key_log_text
from meroid.cli.meroctl.files import read_text
from meroid.cli.meroctl.refusals import OtherAccountError
from meroid.cli.meroctl.session import Session
from meroid.cli.meroctl.tables import Table
from meroid.ids import AccountId


def verify_log(session: Session) -> None:
    """Verify one copy, or decide between several what stands."""
    copies = [parse_key_log_text(read_text(name)) for name in session.args.files]
    log = verify_key_log(copies[0])
    contested: tuple[bytes, ...] = ()
    aside: dict[bytes, str] = {}
    if len(copies) > 1:
        resolution = resolve_key_log(log.account_id, [entry for copy in copies for entry in copy])
        log, contested = resolution.log, resolution.contested
        aside = {entry: str(fate) for entry, fate in resolution.set_aside.items()}
    wanted = session.args.account
    if wanted is not None and AccountId.parse(wanted) != log.account_id:
        raise OtherAccountError(f"the key log is that of {log.account_id}")
    _show(session, log, contested, aside)


def _show(session: Session, log: VerifiedKeyLog, contested: tuple[bytes, ...], aside: dict[bytes, str]) -> None:
    state = log.state
    facts = {
        "account": str(log.account_id),
        "entries": log.length,
        "head": str(AccountId(log.head)),
        "generation": state.generation,
        "keys": [str(key) for key in state.keys.keys],
        "threshold": state.keys.threshold,
        "devices": sorted(state.devices),
        "root_keys": len(state.root_keys),
        "delegations": sorted(state.delegations),
        "contested": [str(AccountId(each)) for each in contested],
        "set_aside": {str(AccountId(each)): fate for each, fate in aside.items()},
    }
    rows = [
        ["Account", str(log.account_id)],
        ["Entries", str(log.length)],
        ["Account key", ", ".join(str(key) for key in state.keys.keys)],
        ["Generation", str(state.generation)],
        ["Signatures needed", f"{state.keys.threshold} of {len(state.keys.keys)}"],
        ["Devices", ", ".join(map(str, sorted(state.devices))) or "-"],
        ["Root keys", str(len(state.root_keys))],
        ["Delegations", ", ".join(map(str, sorted(state.delegations))) or "-"],
    ]
    session.output.answer(facts, Table(["Key Log Verified", "Value"], rows))
    for entry, fate in sorted(aside.items()):
        session.output.detail("set aside", f"{AccountId(entry)} ({fate})")
    if contested:
        session.output.detail(
            "warning", "the log forks here, and neither branch stands until the account rotates or recovers"
        )
