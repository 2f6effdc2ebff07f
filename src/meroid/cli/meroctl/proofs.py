"""`meroctl identity …`: proofs and certificates of what belongs to an account."""

from collections.abc import Mapping

from meroid.account.account_state import VerifiedKeyLog
from meroid.account.certificate import (
    DelegationCertificate,
    parse_certificate_text,
    verify_certificate,
    verify_delegated,
)
from meroid.account.key_log import verify_key_log
from meroid.account.key_log_text import parse_key_log_text
from meroid.account.proof import IdentityProof, parse_proof_text, verify_proof
from meroid.account.sheet import date_of
from meroid.cli.meroctl.ages import span_ms
from meroid.cli.meroctl.files import deliver, read_text
from meroid.cli.meroctl.refusals import BadArgumentError
from meroid.cli.meroctl.session import Session
from meroid.cli.meroctl.tables import Table
from meroid.client.answers import number_at, text_at
from meroid.clock import SystemClock
from meroid.keys.public import PublicKey


def prove(session: Session) -> None:
    """A proof, for one audience and for some time."""
    args = session.args
    context_id = session.context(args.context)
    body: dict[str, object] = {
        "clientKey": session.acting(args.acting, context_id),
        "audience": args.audience,
        "expiresAt": SystemClock().now_ms() + span_ms(args.valid_for),
    }
    if not args.hide_context:
        body["contextId"] = context_id
    if args.serial is not None:
        body["serial"] = args.serial
    answer = session.routes.prove(body)
    deliver(session, answer, text_at(answer, "data", "proof"), "proof")


def verify(session: Session) -> None:
    """Check a proof or a certificate with nothing but the account's key, or its key log."""
    text, now = read_text(session.args.file), SystemClock().now_ms()
    trusted: PublicKey | VerifiedKeyLog
    if session.args.log is None:
        trusted = PublicKey.parse(session.args.key).checked()
    else:
        trusted = verify_key_log(parse_key_log_text(read_text(session.args.log)))
    if "DELEGATION CERTIFICATE" in text.partition("\n")[0]:
        data = parse_certificate_text(text)
        if isinstance(trusted, PublicKey):
            _show_certificate(session, verify_certificate(data, trusted, at=now))
        else:
            _show_certificate(session, verify_delegated(data, trusted, at=now))
        return
    if session.args.audience is None:
        raise BadArgumentError("a proof is for somebody", next_step="say for whom it has to be: --to AUDIENCE")
    _show_proof(session, verify_proof(parse_proof_text(text), trusted, audience=session.args.audience, at=now))


def delegate(session: Session) -> None:
    """A certificate for a client key."""
    args = session.args
    body: dict[str, object] = {"clientKey": args.key, "permissions": args.permissions}
    if not args.everywhere:
        body["contextId"] = session.context(args.context)
    if args.valid_for is not None:
        body["expiresAt"] = SystemClock().now_ms() + span_ms(args.valid_for)
    answer = session.routes.delegate(body)
    serial = number_at(answer, "data", "serial")
    deliver(session, answer, text_at(answer, "data", "certificate"), f"certificate {serial}")


def end_delegation(session: Session) -> None:
    """Take a certificate out of force."""
    body = session.routes.end_delegation(session.args.serial)
    session.output.answer(body, Table(["Delegation Ended"], [["Successfully ended delegation"]]))


def _show_proof(session: Session, proof: IdentityProof) -> None:
    facts = {
        "account": str(proof.account_id),
        "client_key": str(proof.client_key),
        "context": None if proof.context_id is None else str(proof.context_id),
        "audience": proof.audience,
        "expires_at": proof.expires_at,
        "serial": proof.serial,
    }
    _show(session, "Proof Holds", facts)


def _show_certificate(session: Session, certificate: DelegationCertificate) -> None:
    facts = {
        "account": str(certificate.account_id),
        "client_key": str(certificate.client_key),
        "context": None if certificate.context_id is None else str(certificate.context_id),
        "permissions": list(certificate.permissions),
        "serial": certificate.serial,
        "expires_at": certificate.expires_at,
    }
    _show(session, "Certificate Holds", facts)


def _show(session: Session, title: str, facts: Mapping[str, object]) -> None:
    shown = {name: value for name, value in facts.items() if value is not None}
    rows = [[name.replace("_", " "), _text(name, value)] for name, value in shown.items()]
    session.output.answer(facts, Table([title, "Value"], rows))


def _text(name: str, value: object) -> str:
    if name == "expires_at" and isinstance(value, int):
        return f"{date_of(value)} UTC"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
