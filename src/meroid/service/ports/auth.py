"""Storage of root keys, token keys, log-ins, refresh tokens, signing keys and failed attempts.

Every method runs inside one transaction of `Store`. Single use and compare-and-set are promises
of this port: a verb that returns a boolean says whether this caller was the one. Permissions are
stored in the form of `access.permissions`. Times are milliseconds since the epoch, UTC.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from meroid.ids import AccountId, ContextId
from meroid.keys.public import PublicKey

MOCK_METHOD: Final = "mock_auth"
"""The method of the root key above mock tokens, which counts as nobody's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RootKeyRecord:
    """A credential that opens an account.

    `method` and `identifier` (user name, NEAR account, public key, account id or credential id) are unique
    together among root keys that aren't revoked. `verifier` is what the method checks against (a PHC
    string, a passkey's public key) or keeps (a wallet's certification), or nothing; `changed_at` is when
    its owner last replaced it.
    """

    key_id: str
    account_id: AccountId
    method: str
    identifier: str
    verifier: str | None
    permissions: tuple[str, ...]
    created_at: int
    last_used_at: int | None = None
    revoked_at: int | None = None
    changed_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenKeyRecord:
    """What the wire calls a client key: tokens minted under a root key, revocable as one.

    `context_id` and `executor` are both set (bound) or both empty (unbound). After `expires_at` (`None`:
    never) its tokens are refused.
    """

    client_id: str
    root_key_id: str
    account_id: AccountId
    name: str
    permissions: tuple[str, ...]
    context_id: ContextId | None
    executor: PublicKey | None
    node_url: str | None
    created_at: int
    revoked_at: int | None = None
    expires_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyRecord:
    """One log-in or minting, with all tokens that refreshing it ever gave.

    `key_id` is a root key's or a token key's id. `narrowed_to` holds the permissions that were
    asked for, `None` where nothing was asked. `logged_in_at` is `None` for minted tokens. `proof_key` is
    the RFC 7638 thumbprint of the key that its tokens are bound to, or nothing.
    """

    family_id: str
    key_id: str
    narrowed_to: tuple[str, ...] | None
    logged_in_at: int | None
    created_at: int
    revoked_at: int | None = None
    proof_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshRecord:
    """One refresh token; `successor` and `exchanged_at` are set together, once.

    `issued_at` is when it was made, or given again after its answer was lost.
    """

    jti: str
    family_id: str
    issued_at: int
    expires_at: int
    successor: str | None = None
    exchanged_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKeyRecord:
    """An Ed25519 key that signs tokens; `sealed_secret` opens only with the store key."""

    kid: str
    sealed_secret: bytes
    public: PublicKey
    created_at: int
    retired_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """All records that decide whether a token still holds, read at once.

    `root` is the root key itself or the one above `client`; `client` is empty for a root's own token.
    """

    family: FamilyRecord
    root: RootKeyRecord
    client: TokenKeyRecord | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """The end of a log-in or of a key; `ended_at` in ms, `subject` is the token's `sub`, `family_id` empty for a whole key."""

    subject: str
    family_id: str | None
    ended_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptCount:
    """Failed log-ins for one login from one address since the last success there.

    `login` is a 32-byte digest of method and identifier, so that nothing typed is kept.
    """

    login: bytes
    address: str
    failures: int
    last_failed_at: int | None
    last_succeeded_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginCount:
    """Failed attempts of a login over all addresses: the sum, and the latest time."""

    failures: int
    last_failed_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressCount:
    """Failures from one address, over all log-ins: how many weren't forgiven yet at the last one."""

    level: int
    last_failed_at: int


class AuthRecords(Protocol):
    """Credentials and tokens of this node."""

    # Root keys

    def has_root_keys(self) -> bool:
        """True if there is or ever was a root key, revoked ones included, that of mock tokens not."""
        ...

    def claim_first_owner(self, record: RootKeyRecord) -> bool:
        """Store the first root key and forget the set-up code; false if there is or was a root key."""
        ...

    def add_root_key(self, record: RootKeyRecord) -> bool:
        """Store a root key; false if a live one has this method and identifier (then nothing changes)."""
        ...

    def root_key(self, key_id: str) -> RootKeyRecord | None: ...
    def find_root_key(self, method: str, identifier: str) -> RootKeyRecord | None:
        """The live (not revoked) root key of this login."""
        ...

    def root_keys(self, account_id: AccountId | None = None) -> Sequence[RootKeyRecord]:
        """Root keys, revoked ones included, oldest first; of one account if it is given."""
        ...

    def touch_root_key(self, key_id: str, *, at: int, verifier: str | None = None) -> None:
        """Note a log-in; with `verifier`, replace what the method checks against."""
        ...

    def replace_verifier(self, key_id: str, *, old: str | None, new: str | None, at: int) -> bool:
        """Replace what the method checks against; false if it isn't `old` any more, or the key is revoked."""
        ...

    def set_root_permissions(self, key_id: str, permissions: Sequence[str]) -> bool:
        """Replace what a root key grants; false if it is unknown or revoked."""
        ...

    def revoke_root_key(self, key_id: str, *, at: int) -> bool:
        """Revoke a root key; false if it is unknown or revoked already. Its clients fall with it on use."""
        ...

    # Token keys

    def add_token_key(self, record: TokenKeyRecord) -> None: ...
    def token_key(self, client_id: str) -> TokenKeyRecord | None: ...
    def token_keys(self, account_id: AccountId | None = None) -> Sequence[TokenKeyRecord]:
        """Token keys, revoked ones included, oldest first; of one account if it is given."""
        ...

    def silent_token_keys(self, account_id: AccountId | None = None) -> frozenset[str]:
        """Ids of token keys without a live family: their tokens ended with a log-in, a password or the account."""
        ...

    def last_token_end(self, *, created_by: int, after: int) -> int | None:
        """The latest `expires_at` behind `after`, of live token keys that were made by then; nothing if there is none."""
        ...

    def set_token_permissions(self, client_id: str, permissions: Sequence[str]) -> bool:
        """Replace what a token key grants; false if it is unknown or revoked."""
        ...

    def revoke_token_key(self, client_id: str, *, at: int) -> bool:
        """Revoke a token key; false if it is unknown or revoked already."""
        ...

    def revoke_bound(self, executor: PublicKey, *, at: int) -> int:
        """Revoke all live token keys bound to this client key; how many they were."""
        ...

    # Log-ins and refresh tokens

    def open_family(self, family: FamilyRecord, first: RefreshRecord) -> None:
        """Store a new family with its first refresh token."""
        ...

    def family(self, family_id: str) -> FamilyRecord | None: ...
    def revoke_family(self, family_id: str, *, at: int) -> bool:
        """Revoke a family; false if it is unknown or revoked already."""
        ...

    def end_families(self, root_key_id: str, *, but: str | None, at: int) -> int:
        """Revoke the families of a root key and of the token keys under it, but one; how many they were."""
        ...

    def revoke_account_families(self, account_id: AccountId, *, at: int) -> int:
        """Revoke every live family of an account's root keys and token keys; how many they were."""
        ...

    def standing(self, key_id: str, family_id: str) -> Standing | None:
        """What decides about a token of this subject and family, revoked records included.

        Nothing if any record is missing or the family isn't that key's. One query: it is the hot path.
        """
        ...

    def refresh(self, jti: str) -> RefreshRecord | None: ...
    def consume_refresh(self, jti: str, successor: RefreshRecord, *, at: int) -> bool:
        """Exchange a refresh token for `successor`, which is stored.

        False if it was exchanged before or is unknown (then nothing changes).
        """
        ...

    def renew_refresh(self, jti: str, *, issued_at: int, expires_at: int) -> None:
        """Give a refresh token another time; nothing happens if it was exchanged or is unknown."""
        ...

    def forget_refreshes(self, *, expired_before: int) -> int:
        """Remove refresh tokens that expired before that time; how many they were."""
        ...

    # Signing keys

    def add_signing_key(self, record: SigningKeyRecord) -> bool:
        """Store a signing key; false if one is in use already (then nothing changes)."""
        ...

    def signing_keys(self) -> Sequence[SigningKeyRecord]:
        """All signing keys, retired ones included, newest first."""
        ...

    def retire_signing_key(self, kid: str, *, at: int) -> bool: ...
    def forget_signing_key(self, kid: str) -> bool:
        """Remove a retired signing key; false if it is unknown or in use (then nothing changes)."""
        ...

    # Failed attempts

    def attempts(self, login: bytes, address: str) -> AttemptCount | None: ...
    def login_attempts(self, login: bytes, *, since: int) -> LoginCount:
        """Failures over all addresses, of rows whose last failure is at or after `since`."""
        ...

    def record_failure(self, login: bytes, address: str, *, at: int) -> None:
        """Count one more failure for this login from this address."""
        ...

    def record_success(self, login: bytes, address: str, *, at: int) -> None:
        """Set the failures of this login from this address to zero and note the success."""
        ...

    def forget_attempts(self, *, before: int) -> int:
        """Remove rows whose last failure and last success both lie before that time; how many."""
        ...

    def evict_attempts(self, *, keep: int) -> int:
        """Remove what only failed, oldest first, until at most `keep` such rows are left; how many."""
        ...

    def failing_address(self, address: str) -> AddressCount | None: ...
    def record_failing_address(self, address: str, count: AddressCount) -> None:
        """Keep what is known of failures from this address, in place of what was."""
        ...

    def forget_failing_addresses(self, *, before: int, keep: int) -> int:
        """Remove addresses that last failed before that time, and the oldest beyond `keep`; how many."""
        ...

    # Challenges

    def use_challenge(self, nonce: bytes, *, expires_at: int) -> bool:
        """Note that a challenge was used; false if it was before (then nothing changes)."""
        ...

    def is_challenge_used(self, nonce: bytes) -> bool: ...
    def forget_challenges(self, *, expired_before: int) -> int:
        """Forget used challenges that ended before that time; how many they were."""
        ...

    # Proofs of keys

    def use_proof(self, digest: bytes, *, expires_at: int) -> bool:
        """Note that a proof was used; false if it was before (then nothing changes)."""
        ...

    def forget_proofs(self, *, expired_before: int) -> int:
        """Forget used proofs that ended before that time; how many they were."""
        ...

    def contexts_of_proof_key(self, proof_key: str) -> Sequence[ContextId | None]:
        """What the tokens of a key are bound to, each once; `None` stands for unbound ones. Ended log-ins count."""
        ...

    # Endings

    def endings(self, *, since: int, at: int) -> Sequence[Ending]:
        """What ended at or after `since`, and earlier if a service token of it would live beyond `at`; by time.

        By indexes, so it costs as much as it finds.
        """
        ...

    # Set-up code and settings

    def set_setup_code(self, code_hash: bytes) -> None:
        """Keep the 32-byte hash of the set-up code, in place of any other."""
        ...

    def setup_code(self) -> bytes | None: ...
    def setting(self, name: str) -> str | None: ...
    def put_setting(self, name: str, value: str) -> None: ...
