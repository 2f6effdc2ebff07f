"""`merod keys rotate-signing`: another key signs the tokens of a node, or of an auth service alone."""

from datetime import UTC, datetime

from meroid.cli.merod.prompt import ask_on_terminal
from meroid.cli.merod.terminal import confirm
from meroid.config import ServiceSettings


def rotate_signing(settings: ServiceSettings, *, at_once: bool, yes: bool, dry_run: bool) -> None:
    """Make a new token signing key, and say what becomes of the old one.

    Raises:
        MeroidError: it is refused (the node runs, nobody said yes); the old key goes on.
    """
    from meroid.app import open_vaulted, token_signing_keys  # noqa: PLC0415  # heavy, and not needed for --help
    from meroid.clock import SystemClock  # noqa: PLC0415  # the same

    vaulted = open_vaulted(settings, make=False, ask=ask_on_terminal())
    try:
        keys = token_signing_keys(vaulted, settings.auth)
        at = SystemClock().now_ms()
        until = "no more" if at_once else f"until {_day(keys.verifies_until(at))}"
        if dry_run:
            print(f"would make a new token signing key; {keys.active().kid} would verify tokens {until}")
            print("nothing was changed")
            return
        if at_once:
            confirm("Every token ends, and everybody has to log in again. Go on?", yes=yes)
        old = keys.rotate(at, at_once=at_once)
        print(f"new token signing key {keys.active().kid}")
        print(f"the old one, {old.kid}, signs nothing more and verifies tokens {until}")
    finally:
        vaulted.store.close()


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d")
