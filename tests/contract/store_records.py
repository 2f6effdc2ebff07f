"""Records with plausible content for the contract of the store; a number makes each its own."""

from hashlib import sha256

from meroid.ids import AccountId, ApplicationId, BlobId, ContextId, EpochId, OperationId
from meroid.keys.public import PublicKey
from meroid.service.ports.accounts import AccountRecord, ClientKeyRecord
from meroid.service.ports.auth import (
    FamilyRecord,
    RefreshRecord,
    RootKeyRecord,
    SigningKeyRecord,
    TokenKeyRecord,
)
from meroid.service.ports.content import ApplicationRecord, ContextRecord
from meroid.service.ports.store import Store

AT = 1_760_000_000_000


def digest(kind: str, number: int) -> bytes:
    return sha256(f"{kind} {number}".encode()).digest()


def context_id(number: int = 0) -> ContextId:
    return ContextId(digest("context", number))


def operation_id(number: int = 0) -> OperationId:
    return OperationId(digest("operation", number))


def epoch_id(number: int = 0) -> EpochId:
    return EpochId(digest("epoch", number))


def account_id(number: int = 0) -> AccountId:
    return AccountId(digest("account", number))


def application_id(number: int = 0) -> ApplicationId:
    return ApplicationId(digest("application", number))


def blob_id(number: int = 0) -> BlobId:
    return BlobId(digest("blob", number))


def public_key(number: int = 0) -> PublicKey:
    return PublicKey(digest("public key", number))


def context(number: int = 0) -> ContextRecord:
    return ContextRecord(
        context_id=context_id(number),
        application_id=application_id(),
        protocol="near",
        root_hash=bytes(32),
        created_at=AT + number,
    )


def account(number: int = 0, *, owner: bool = False) -> AccountRecord:
    return AccountRecord(
        account_id=account_id(number), sealed_seed=b"sealed", device=0, created_at=AT + number, owner=owner
    )


def client_key(
    number: int = 0, *, of: int = 0, device: int = 0, slot: int | None = None, bound_to: ContextId | None = None
) -> ClientKeyRecord:
    return ClientKeyRecord(
        public_key=public_key(number),
        account_id=account_id(of),
        device=device,
        slot=number if slot is None else slot,
        generation=0,
        context_id=bound_to,
        created_at=AT,
    )


def application(number: int = 0, *, version: str = "1.0.0") -> ApplicationRecord:
    return ApplicationRecord(
        application_id=application_id(number),
        blob_id=blob_id(number),
        size=3,
        source="https://example.org/app.wasm",
        metadata=b"\x00{}",
        package="org.example.app",
        version=version,
        installed_at=AT + number,
    )


def root_key(number: int = 0, *, identifier: str | None = None, of: int = 0) -> RootKeyRecord:
    return RootKeyRecord(
        key_id=f"root-{number}",
        account_id=account_id(of),
        method="user_password",
        identifier=identifier or f"user-{number}",
        verifier="$argon2id$...",
        permissions=("admin", "context[a,b]"),
        created_at=AT + number,
    )


def token_key(number: int = 0, *, under: int = 0, of: int = 0, executor: PublicKey | None = None) -> TokenKeyRecord:
    return TokenKeyRecord(
        client_id=f"client-{number}",
        root_key_id=f"root-{under}",
        account_id=account_id(of),
        name="a script",
        permissions=("context:execute",),
        context_id=None if executor is None else context_id(),
        executor=executor,
        node_url="http://localhost:2528",
        created_at=AT + number,
    )


def family(number: int = 0, *, key_id: str = "root-0") -> FamilyRecord:
    return FamilyRecord(
        family_id=f"family-{number}", key_id=key_id, narrowed_to=("admin",), logged_in_at=AT, created_at=AT
    )


def refresh(number: int = 0, *, of: int = 0, expires_at: int = AT + 1000) -> RefreshRecord:
    return RefreshRecord(jti=f"refresh-{number}", family_id=f"family-{of}", issued_at=AT, expires_at=expires_at)


def signing_key(number: int = 0) -> SigningKeyRecord:
    return SigningKeyRecord(
        kid=f"kid-{number}", sealed_secret=b"sealed", public=public_key(number), created_at=AT + number
    )


def add_context(store: Store, number: int = 0) -> ContextId:
    store.write(lambda tx: tx.contexts.add(context(number)))
    return context_id(number)


def add_account(store: Store, number: int = 0, *, owner: bool = False) -> AccountId:
    store.write(lambda tx: tx.accounts.add(account(number, owner=owner), b"inception"))
    return account_id(number)
