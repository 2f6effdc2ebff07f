"""Whatever root keys are bound, removed or given another password: each that lives opens its account, no other does."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings, strategies as st
from tests.auth_world import LOCAL, OTHER, OWNER, REMOTE, START, AuthWorld, auth_world

from meroid.access.principal import Principal
from meroid.auth.tokens import TokenRevokedError
from meroid.errors import ConflictError, UnauthenticatedError
from meroid.ids import AccountId
from meroid.service.login import TokenPair
from meroid.service.root_keys import NewPassword, NewRootKey

NAMES = ("alice", "ann", "amy")
PASSWORDS = ("correct horse battery", "another password")
STEPS = st.tuples(
    st.sampled_from(["bind", "remove", "change", "log in"]), st.sampled_from(NAMES), st.sampled_from(PASSWORDS)
)


class Model:
    """What should be so: the password of each live root key, and the log-ins that still hold with their key's name."""

    def __init__(self, world: AuthWorld) -> None:
        self.world = world
        self.passwords = {"alice": PASSWORDS[0]}
        self.pairs: list[tuple[str, TokenPair]] = [("alice", world.log_in())]
        self.ended: list[TokenPair] = []
        self.tries = 0

    def caller(self) -> Principal:
        """A fresh log-in with any live root key."""
        name, password = next(iter(self.passwords.items()))
        pair = self.world.log_in(name=name, password=password)
        self.pairs.append((name, pair))
        return self.world.gate.admit(pair.access, START)

    def key_of(self, name: str) -> str:
        listed = self.world.root_keys.list(self.caller(), everybody=False)
        (found,) = [each.record for each in listed if each.label == name and each.record.revoked_at is None]
        return found.key_id

    def step(self, kind: str, name: str, password: str) -> None:
        if kind == "log in":
            self.try_to_log_in(name, password)
        elif kind == "bind":
            self.bind(name, password)
        elif name in self.passwords:
            self.remove(name) if kind == "remove" else self.change(name, password)

    def try_to_log_in(self, name: str, password: str) -> None:
        right = self.passwords.get(name) == password
        self.tries += 1
        peer = replace(REMOTE, address=f"198.51.100.{self.tries}")  # guesses are slowed, and that is another law
        try:
            pair = self.world.log_in(name=name, password=password, peer=peer)
        except UnauthenticatedError:
            assert not right
            return
        assert right
        self.pairs.append((name, pair))

    def bind(self, name: str, password: str) -> None:
        fields = {"username": name, "password": password}
        new = NewRootKey(auth_method="user_password", public_key=name, provider_data=fields, peer=LOCAL)
        try:
            self.world.root_keys.bind(self.caller(), new, START)
        except ConflictError:
            assert name in self.passwords
            return
        assert name not in self.passwords
        self.passwords[name] = password

    def remove(self, name: str) -> None:
        last = len(self.passwords) == 1
        try:
            self.world.root_keys.remove(self.caller(), self.key_of(name), START, force=False)
        except ConflictError:
            assert last
            return
        assert not last
        del self.passwords[name]
        self.end(name, but=None)

    def change(self, name: str, password: str) -> None:
        key_id, caller = self.key_of(name), self.caller()
        new = NewPassword(password=password, old_password=self.passwords[name], end_sessions=True, peer=LOCAL)
        self.world.root_keys.change_password(caller, key_id, new, START)
        self.passwords[name] = password
        self.end(name, but=self.pairs[-1][1])

    def end(self, name: str, *, but: TokenPair | None) -> None:
        self.ended += [pair for each, pair in self.pairs if each == name and pair is not but]
        self.pairs = [(each, pair) for each, pair in self.pairs if each != name or pair is but]

    def check(self) -> None:
        for _, pair in self.pairs:
            assert self.account(pair) == OWNER
        assert all(self.account(pair) is None for pair in self.ended)
        for name, password in self.passwords.items():
            assert self.account(self.world.log_in(name=name, password=password)) == OWNER

    def account(self, pair: TokenPair) -> AccountId | None:
        try:
            return self.world.gate.admit(pair.access, START).account_id
        except TokenRevokedError:
            return None


@given(steps=st.lists(STEPS, max_size=12))
@settings(max_examples=25, deadline=None)
def test_a_live_root_key_opens_its_account_and_what_ended_stays_ended(
    steps: list[tuple[str, str, str]],
) -> None:
    with TemporaryDirectory() as folder, auth_world(Path(folder)) as world:
        model = Model(world)
        world.add_account(("keys:create",))
        for step in steps:
            model.step(*step)
        model.check()
        other = world.gate.admit(world.log_in(name="bob").access, START)
        assert other.account_id == OTHER, "and another account is never touched"
