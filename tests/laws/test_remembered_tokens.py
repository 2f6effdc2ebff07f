"""A gate that remembers says at every moment what one says that remembers nothing."""

import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, multiple, rule
from tests.auth_world import HOUR, MINUTE, SECOND, START, BoxSealer, auth_world

from meroid.access.permissions import LIST_CONTEXTS
from meroid.access.principal import Principal
from meroid.errors import MeroidError
from meroid.service.gate import Gate
from meroid.service.minting import WantedKey
from meroid.service.signing import SigningKeys
from meroid.service.tokens import TokenPair

T = TypeVar("T")


class RememberingGate(RuleBasedStateMachine):
    """Log-ins, mintings and all that ends them, in any order, with questions in between."""

    tokens = Bundle("tokens")
    refreshable = Bundle("refreshable")

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory(prefix="meroid-gate-")
        self._made = auth_world(Path(self._folder.name))
        self.world = self._made.__enter__()
        self.at = START
        self.other = Gate(self.world.store, self._keys())  # another worker, with a memory of its own

    @initialize(target=tokens)
    def first_owner(self) -> str:
        return self.world.log_in(at=self.at).access

    @rule(target=tokens)
    def another_log_in(self) -> str:
        return self._attempt(lambda: self.world.log_in(at=self.at).access) or ""

    @rule(target=tokens, token=tokens, service_token=st.booleans())
    def mint(self, token: str, service_token: bool) -> str:  # noqa: FBT001 - hypothesis draws it
        def work() -> str:
            caller = self.world.gate.admit(token, self.at)
            wanted = WantedKey(
                permissions=("context:list", "context:execute"), expires_in_s=120 if service_token else None
            )
            if service_token:
                return self.world.tokens.mint_service_token(caller, wanted, self.at).access
            return self.world.tokens.mint_client(caller, wanted, self.at).access

        return self._attempt(work) or ""

    @rule(target=refreshable)
    def log_in_to_refresh(self) -> TokenPair | None:
        return self._attempt(lambda: self.world.log_in(at=self.at))

    @rule(target=tokens, pair=consumes(refreshable))
    def refresh(self, pair: TokenPair | None) -> object:
        if pair is None:
            return multiple()
        after = self._attempt(lambda: self.world.tokens.refresh(pair.access, pair.refresh, self.at))
        return multiple(pair.access, *([] if after is None else [after.access]))

    @rule(token=tokens)
    def log_out(self, token: str) -> None:
        self._attempt(lambda: self.world.tokens.log_out(token, None, self.at))

    @rule(token=tokens)
    def revoke_its_key(self, token: str) -> None:
        def work() -> None:
            caller = self.world.gate.admit(token, self.at)
            self.world.store.write(lambda tx: tx.auth.revoke_token_key(caller.subject, at=self.at))

        self._attempt(work)

    @rule(token=tokens)
    def narrow_its_key(self, token: str) -> None:
        def work() -> None:
            caller = self.world.gate.admit(token, self.at)
            self.world.store.write(lambda tx: tx.auth.set_token_permissions(caller.subject, (str(LIST_CONTEXTS),)))

        self._attempt(work)

    @rule()
    def end_every_log_in_of_the_owner(self) -> None:
        owner = self.world.store.read(lambda tx: tx.accounts.owner())
        if owner is not None:
            self.world.store.write(lambda tx: tx.auth.revoke_account_families(owner.account_id, at=self.at))

    @rule(at_once=st.booleans())
    def rotate_elsewhere(self, at_once: bool) -> None:  # noqa: FBT001 - hypothesis draws it
        self._keys().rotate(self.at, at_once=at_once)

    @rule()
    def something_else_is_written(self) -> None:
        code = secrets.token_bytes(32)
        self.world.store.write(lambda tx: tx.auth.set_setup_code(code))

    @rule()
    def time_goes(self) -> None:
        self.at += 20 * SECOND

    @rule()
    def an_hour_goes(self) -> None:
        self.at += HOUR + MINUTE

    @rule(token=tokens)
    def ask(self, token: str) -> None:
        """Twice each: a memory that is wrong would say so the second time."""
        truth = _verdict(Gate(self.world.store, self._keys()), token, self.at)
        for gate in (self.world.gate, self.other, self.world.gate, self.other):
            assert _verdict(gate, token, self.at) == truth

    def teardown(self) -> None:
        self._made.__exit__(None, None, None)
        self._folder.cleanup()

    def _keys(self) -> SigningKeys:
        return SigningKeys(self.world.store, BoxSealer(), issuer="meroid", audience="meroid")

    @staticmethod
    def _attempt(work: Callable[[], T]) -> T | None:
        try:
            return work()
        except MeroidError:
            return None


def _verdict(gate: Gate, token: str, at: int) -> Principal | str:
    try:
        return gate.admit(token, at)
    except MeroidError as error:
        return error.code


RememberingGate.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestRememberingGate = pytest.mark.timeout(300)(RememberingGate.TestCase)
