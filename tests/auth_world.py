"""A node's sign-in, put together on a real store in a temporary folder, with cheap password hashes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nacl.secret import SecretBox

from meroid.auth.dpop import Shown, verify_proof
from meroid.auth.methods import LoginAttempt, LoginMethod, VerifiedLogin
from meroid.auth.password import Argon2Cost, PasswordLogin, hash_password
from meroid.auth.sign_up import DEFAULT_RULES, SignUpRules
from meroid.ids import AccountId, ContextId
from meroid.keys.public import PublicKey
from meroid.keys.signer import Secret
from meroid.service.challenges import ChallengeService
from meroid.service.gate import Gate
from meroid.service.keyring import KeyRing
from meroid.service.login import LoginRequest, LoginService, Peer, TokenPair
from meroid.service.login_links import LoginLinkService
from meroid.service.newcomers import Newcomers
from meroid.service.ports.accounts import AccountRecord, ClientKeyRecord
from meroid.service.ports.auth import RootKeyRecord
from meroid.service.ports.store import Transaction
from meroid.service.proofs import Proofs
from meroid.service.root_keys import RootKeyService
from meroid.service.signing import SigningKeys
from meroid.service.tokens import TokenService
from meroid.store.sqlite import SqliteStore
from meroid.vault.seeds import SeedVault

START = 1_800_000_000_000
SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
CHEAP = Argon2Cost(passes=1, memory_kib=64, lanes=1)
OWNER = AccountId(b"o" * 32)
OTHER = AccountId(b"p" * 32)
CONTEXT = ContextId(b"c" * 32)
EXECUTOR = PublicKey(b"e" * 32)
LOCAL = Peer(address="127.0.0.1", host="localhost:2528")
REMOTE = Peer(address="203.0.113.7", host="node.example:2528")
PASSWORD = "correct horse battery"
OWN_HOSTS = frozenset({"localhost", "127.0.0.1", "node.example"})


class BoxSealer:
    """A sealer over one key in memory; the label is kept inside, as the port wants it authenticated."""

    def __init__(self) -> None:
        self._box = SecretBox(b"k" * 32)

    def seal(self, label: str, secret: Secret) -> bytes:
        return bytes(self._box.encrypt(label.encode() + b"\x00" + secret.reveal()))

    def open(self, label: str, sealed: bytes) -> Secret:
        stored, _, raw = self._box.decrypt(sealed).partition(b"\x00")
        assert stored == label.encode()
        return Secret(raw)


class CountingPasswordLogin(PasswordLogin):
    """Counts how often the work of a check is done."""

    checks = 0

    def verify(self, attempt: LoginAttempt, verifier: str | None) -> VerifiedLogin:
        self.checks += 1
        return super().verify(attempt, verifier)


@dataclass
class AuthWorld:
    """Everything behind the sign-in of one node."""

    store: SqliteStore
    keys: SigningKeys
    tokens: TokenService
    method: CountingPasswordLogin
    login: LoginService
    root_keys: RootKeyService
    challenges: ChallengeService
    gate: Gate
    ring: KeyRing
    links: LoginLinkService
    rules: SignUpRules

    def log_in_with(self, *methods: LoginMethod) -> None:
        """Put other log-in methods in the place of those that are there."""
        proofs = Proofs(self.store, methods, self.challenges)
        self.login = LoginService(self.store, self.tokens, proofs, Newcomers(self.store, self.ring, self.rules))

    def log_in(
        self,
        *,
        name: str = "alice",
        password: str = PASSWORD,
        peer: Peer = LOCAL,
        at: int = START,
        permissions: Sequence[str] = (),
        code: str | None = None,
        method: str = "user_password",
        shown: Shown | None = None,
    ) -> TokenPair:
        data: dict[str, object] = {"username": name, "password": password}
        if code is not None:
            data["setup_code"] = code
        request = LoginRequest(
            auth_method=method,
            public_key=name,
            client_name="http://localhost:2528/auth/login?x=1",
            permissions=permissions,
            provider_data=data,
            peer=peer,
            proof=None if shown is None else verify_proof(shown, at),
        )
        return self.login.log_in(request, at)

    def add_client_key(
        self, executor: PublicKey = EXECUTOR, *, account: AccountId = OWNER, context: ContextId | None = CONTEXT
    ) -> None:
        def work(tx: Transaction) -> None:
            slot = tx.accounts.next_slot(account, 0)
            tx.accounts.add_client_key(
                ClientKeyRecord(
                    public_key=executor,
                    account_id=account,
                    device=0,
                    slot=slot,
                    generation=0,
                    context_id=context,
                    created_at=START,
                )
            )

        self.store.write(work)

    def add_account(self, permissions: tuple[str, ...], *, name: str = "bob") -> None:
        """Another account on this node, with a password of its own."""

        def work(tx: Transaction) -> None:
            tx.accounts.add(
                AccountRecord(account_id=OTHER, sealed_seed=b"s", device=0, created_at=START, owner=False), b"i"
            )
            tx.auth.add_root_key(
                RootKeyRecord(
                    key_id="root-of-bob",
                    account_id=OTHER,
                    method="user_password",
                    identifier=name,
                    verifier=hash_password(PASSWORD, CHEAP),
                    permissions=permissions,
                    created_at=START,
                )
            )

        self.store.write(work)


@contextmanager
def auth_world(
    folder: Path, *, cost: Argon2Cost = CHEAP, methods: Sequence[LoginMethod] = (), rules: SignUpRules = DEFAULT_RULES
) -> Iterator[AuthWorld]:
    """A node with its own account and signing key, and no owner yet; passwords, and `methods` beside them."""
    store = SqliteStore(folder / "store.db", "ab" * 32)
    try:
        keys = SigningKeys(store, BoxSealer(), issuer="meroid", audience="meroid")
        tokens = TokenService(store, keys)
        tokens.ensure_signing_key(START)
        owner = AccountRecord(account_id=OWNER, sealed_seed=b"s", device=0, created_at=START, owner=True)
        store.write(lambda tx: tx.accounts.add(owner, b"inception"))
        method = CountingPasswordLogin(cost)
        challenges = ChallengeService(store, keys, is_own_host=OWN_HOSTS.__contains__)
        proofs = Proofs(store, [method, *methods], challenges)
        ring = KeyRing(store, SeedVault(Secret(b"v" * 32)))
        yield AuthWorld(
            store=store,
            keys=keys,
            tokens=tokens,
            method=method,
            login=LoginService(store, tokens, proofs, Newcomers(store, ring, rules)),
            root_keys=RootKeyService(store, proofs),
            challenges=challenges,
            gate=Gate(store, keys),
            ring=ring,
            links=LoginLinkService(store, ring, rules),
            rules=rules,
        )
    finally:
        store.close()
