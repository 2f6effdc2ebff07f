"""The schema, for people and for the tests: every table and column with its meaning and unit.

Running code doesn't import this module (it takes SQLAlchemy in); migrations and tests do.
A test holds that the migrations lead to exactly these tables.
Ids are blobs of 32 bytes, times milliseconds since the epoch in UTC, truth values 0 or 1.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.schema import SchemaItem

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# STRICT tables of SQLite know INTEGER only; it holds 64 bits there.
Whole = BigInteger().with_variant(Integer(), "sqlite")


def _blob(name: str, comment: str, *items: SchemaItem, nullable: bool = False) -> Column[Any]:
    return Column(name, LargeBinary, *items, nullable=nullable, comment=comment)


def _whole(name: str, comment: str, *items: SchemaItem, nullable: bool = False) -> Column[Any]:
    return Column(name, Whole, *items, nullable=nullable, comment=comment)


def _text(name: str, comment: str, *items: SchemaItem, nullable: bool = False) -> Column[Any]:
    return Column(name, Text, *items, nullable=nullable, comment=comment)


def _position(comment: str) -> Column[Any]:
    return Column("position", Whole, primary_key=True, autoincrement=True, comment=comment)


def _table(name: str, comment: str, *items: SchemaItem, numbered: bool = False) -> Table:
    """A table; `numbered` ones have a position that is never given twice."""
    return Table(name, metadata, *items, comment=comment, sqlite_strict=True, sqlite_autoincrement=numbered)


def _keyed(name: str, comment: str, *items: SchemaItem) -> Table:
    """A table stored in the order of its primary key."""
    return Table(name, metadata, *items, comment=comment, sqlite_strict=True, sqlite_with_rowid=False)


schema_meta = _table(
    "schema_meta",
    "one row about the schema itself",
    Column("id", Whole, CheckConstraint("id = 1", name="one"), primary_key=True, autoincrement=False, comment="1"),
    _whole("oldest_code_schema", "number of the oldest schema whose code may open this database"),
)

accounts = _table(
    "accounts",
    "accounts whose seed this node keeps",
    _blob("account_id", "id of the account"),
    _blob("sealed_seed", "seed of the account, sealed under the store key"),
    _whole("device", "number of this device in the derivation tree"),
    _whole("created_at", "when it was stored here, ms"),
    _whole("owner", "1 for the node's own account", CheckConstraint("owner IN (0, 1)", name="owner")),
    _whole("backed_up_at", "when its words were confirmed, ms; NULL until then", nullable=True),
    _whole("disabled_at", "since when it opens nothing on this node, ms; NULL while it does", nullable=True),
    _whole(
        "log_unsettled_at",
        "when it was restored, ms, while its key log may have later entries elsewhere; NULL when it is known whole",
        nullable=True,
    ),
    PrimaryKeyConstraint("account_id"),
    Index(
        "uq_accounts_owner", "owner", unique=True, sqlite_where=text("owner = 1"), postgresql_where=text("owner = 1")
    ),
)

key_log = _keyed(
    "key_log",
    "hash-chained entries of the accounts' key logs",
    _blob("account_id", "whose log", ForeignKey("accounts.account_id")),
    _whole("sequence", "place in the log, from 0 (inception)"),
    _blob("entry", "canonical bytes of the entry with its signatures"),
    PrimaryKeyConstraint("account_id", "sequence"),
)

client_keys = _table(
    "client_keys",
    "client keys of this node; never deleted, a slot belongs to one context for good",
    _position("order of arrival on this node"),
    _blob("public_key", "Ed25519 public key, 32 bytes"),
    _blob("account_id", "whose key", ForeignKey("accounts.account_id")),
    _whole("device", "number of the device in the derivation tree"),
    _whole("slot", "number of the slot on the device"),
    _whole("generation", "number of the rotation in the slot, from 0"),
    _blob("context_id", "context that it is bound to for good; empty until then", nullable=True),
    _whole("created_at", "when it was derived here, ms"),
    _whole(
        "restored_at",
        "when it was restored, ms, while it signs nothing but its rotation; NULL when nothing hinders it",
        nullable=True,
    ),
    UniqueConstraint("public_key"),
    UniqueConstraint("account_id", "device", "slot", "generation"),
    Index("ix_client_keys_context_id", "context_id"),
    Index(
        "ix_client_keys_unbound",
        "account_id",
        sqlite_where=text("context_id IS NULL"),
        postgresql_where=text("context_id IS NULL"),
    ),
    numbered=True,
)

contexts = _keyed(
    "contexts",
    "contexts that this node takes part in",
    _blob("context_id", "id of the context: of its genesis operation"),
    _blob("application_id", "application that it runs; may not be installed yet"),
    _text("protocol", "protocol name as the wire gave it; changes nothing"),
    _blob("root_hash", "hash of the state as the guest last announced it, 32 bytes"),
    _whole("created_at", "when it came to this node, ms"),
    PrimaryKeyConstraint("context_id"),
)

context_endpoints = _keyed(
    "context_endpoints",
    "addresses of other nodes of a context, to connect to again after a restart",
    _blob("context_id", "context that it belongs to", ForeignKey("contexts.context_id")),
    _text("endpoint", "address as the transport names it, such as tcp/192.0.2.1:2428"),
    PrimaryKeyConstraint("context_id", "endpoint"),
)

operations = _table(
    "operations",
    "append-only operations of all contexts, as they were received",
    _position("order of arrival on this node"),
    _blob("operation_id", "id of the operation"),
    _blob("context_id", "context that it belongs to", ForeignKey("contexts.context_id")),
    _blob("envelope", "signed bytes as received, at most 1 MiB"),
    _whole("applied", "1 if the state holds it", CheckConstraint("applied IN (0, 1)", name="applied")),
    _whole("received_at", "when it came to this node, ms"),
    UniqueConstraint("operation_id"),
    Index("ix_operations_context_id_position", "context_id", "position"),
    numbered=True,
)

state = _keyed(
    "state",
    "key-value state of the applications; can be rebuilt from the operations",
    _blob("context_id", "context that it belongs to", ForeignKey("contexts.context_id")),
    _blob("key", "key as the guest gave it"),
    _blob("value", "value as the guest gave it"),
    PrimaryKeyConstraint("context_id", "key"),
)

epochs = _keyed(
    "epochs",
    "epoch keys that this node holds",
    _blob("context_id", "context that it belongs to", ForeignKey("contexts.context_id")),
    _blob("epoch_id", "id of the epoch; commits to the key"),
    _blob("epoch_key", "symmetric key, 32 bytes", CheckConstraint("LENGTH(epoch_key) = 32", name="epoch_key")),
    PrimaryKeyConstraint("context_id", "epoch_id"),
)

applications = _table(
    "applications",
    "installed applications",
    _blob("application_id", "id of the application"),
    _blob("blob_id", "blob of the module; may be gone"),
    _whole("size", "size of the module, bytes"),
    _text("source", "where it came from, without a path of this machine"),
    _blob("metadata", "metadata as the installer gave it"),
    _text("package", "name of the package"),
    _text("version", "version of the package"),
    _whole("installed_at", "when it was installed, ms"),
    PrimaryKeyConstraint("application_id"),
)

blobs = _table(
    "blobs",
    "blobs, whose content stands in chunks",
    _blob("blob_id", "id of the blob: SHA-256 of its chunks' ids"),
    _whole("size", "size of all chunks, bytes"),
    _whole("stored_at", "when it was stored, ms"),
    PrimaryKeyConstraint("blob_id"),
)

blob_chunks = _table(
    "blob_chunks",
    "content of the blobs",
    _blob("blob_id", "blob that it belongs to", ForeignKey("blobs.blob_id")),
    _whole("number", "place in the blob, from 0"),
    _blob("content", "at most 1 MiB", CheckConstraint("LENGTH(content) <= 1048576", name="content")),
    PrimaryKeyConstraint("blob_id", "number"),
)

aliases = _keyed(
    "aliases",
    "names for ids",
    _text("scope", "what is named: context, application or identity"),
    _blob("context_id", "context of a named identity; no bytes for names of the node"),
    _text("name", "the name, at most 50 bytes"),
    _blob("target", "id that it stands for, 32 bytes"),
    PrimaryKeyConstraint("scope", "context_id", "name"),
)

root_keys = _table(
    "root_keys",
    "credentials that open an account",
    _position("order of arrival on this node"),
    _text("key_id", "id of the root key"),
    _blob("account_id", "account that it opens", ForeignKey("accounts.account_id")),
    _text("method", "log-in method"),
    _text("identifier", "user name, wallet address, key, account id or credential id"),
    _text("verifier", "what the method checks against or keeps; may be empty", nullable=True),
    _text("permissions", "JSON list of permissions"),
    _whole("created_at", "when it was bound, ms"),
    _whole("last_used_at", "last log-in, ms", nullable=True),
    _whole("revoked_at", "when it was revoked, ms; empty while it lives", nullable=True),
    _whole("changed_at", "when its owner last replaced the verifier, ms; may be empty", nullable=True),
    UniqueConstraint("key_id"),
    Index(
        "uq_root_keys_live_login",
        "method",
        "identifier",
        unique=True,
        sqlite_where=text("revoked_at IS NULL"),
        postgresql_where=text("revoked_at IS NULL"),
    ),
    Index("ix_root_keys_account_id", "account_id"),
    numbered=True,
)

token_keys = _table(
    "token_keys",
    "tokens minted under a root key, revocable as one (the wire's client keys)",
    _position("order of arrival on this node"),
    _text("client_id", "id of the token key"),
    _text("root_key_id", "root key above it", ForeignKey("root_keys.key_id")),
    _blob("account_id", "account that it acts for", ForeignKey("accounts.account_id")),
    _text("name", "name as it was asked for"),
    _text("permissions", "JSON list of permissions"),
    _blob("context_id", "context that it is bound to; empty if unbound", nullable=True),
    _blob("executor", "client key that it acts as, 32 bytes; empty if unbound", nullable=True),
    _text("node_url", "origin of the node that it is for; may be empty", nullable=True),
    _whole("created_at", "when it was minted, ms"),
    _whole("revoked_at", "when it was revoked, ms; empty while it lives", nullable=True),
    _whole("expires_at", "when it ends by itself, ms; empty if never", nullable=True),
    UniqueConstraint("client_id"),
    CheckConstraint("(context_id IS NULL) = (executor IS NULL)", name="bound"),
    Index("ix_token_keys_account_id", "account_id"),
    Index("ix_token_keys_root_key_id", "root_key_id"),
    Index("ix_token_keys_executor", "executor"),
    Index("ix_token_keys_expires_at", "expires_at"),
    numbered=True,
)

families = _keyed(
    "families",
    "log-ins and mintings, each with all tokens that refreshing it ever gave",
    _text("family_id", "id of the family"),
    _text("key_id", "id of the root key or token key"),
    _text("narrowed_to", "JSON list of the permissions asked for; empty if none were", nullable=True),
    _whole("logged_in_at", "when somebody proved a root key, ms; empty for minted tokens", nullable=True),
    _whole("created_at", "when it began, ms"),
    _whole("revoked_at", "when it was revoked, ms; empty while it lives", nullable=True),
    PrimaryKeyConstraint("family_id"),
    Index("ix_families_key_id", "key_id"),
)

refresh_tokens = _keyed(
    "refresh_tokens",
    "refresh tokens, each exchanged at most once",
    _text("jti", "id of the token"),
    _text("family_id", "family that it belongs to", ForeignKey("families.family_id")),
    _whole("issued_at", "when it was given out, ms"),
    _whole("expires_at", "when it ends, ms"),
    _text("successor", "id of the token that it was exchanged for", nullable=True),
    _whole("exchanged_at", "when it was exchanged, ms", nullable=True),
    PrimaryKeyConstraint("jti"),
    CheckConstraint("(successor IS NULL) = (exchanged_at IS NULL)", name="exchanged"),
    Index("ix_refresh_tokens_expires_at", "expires_at"),
)

signing_keys = _table(
    "signing_keys",
    "Ed25519 keys that sign tokens",
    _position("order of arrival on this node"),
    _text("kid", "id of the key in a token's header"),
    _blob("sealed_secret", "secret key, sealed under the store key"),
    _blob("public_key", "public key, 32 bytes"),
    _whole("created_at", "when it was made, ms"),
    _whole("retired_at", "when it stopped signing, ms; empty while it signs", nullable=True),
    UniqueConstraint("kid"),
    numbered=True,
)

login_attempts = _keyed(
    "login_attempts",
    "failed log-ins per login and address",
    _blob("login", "digest of method and identifier, 32 bytes"),
    _text("address", "address that the attempts came from"),
    _whole("failures", "failures since the last success there"),
    _whole("last_failed_at", "last failure, ms", nullable=True),
    _whole("last_succeeded_at", "last success, ms", nullable=True),
    PrimaryKeyConstraint("login", "address"),
)

used_challenges = _keyed(
    "used_challenges",
    "challenges that somebody logged in with, until they have ended",
    _blob("nonce", "nonce of the challenge, 32 bytes"),
    _whole("expires_at", "when it ends, ms"),
    PrimaryKeyConstraint("nonce"),
    Index("ix_used_challenges_expires_at", "expires_at"),
)

setup_code = _table(
    "setup_code",
    "at most one row, until the first owner is there",
    Column("id", Whole, CheckConstraint("id = 1", name="one"), primary_key=True, autoincrement=False, comment="1"),
    _blob("code_hash", "hash of the set-up code, 32 bytes"),
)

settings = _keyed(
    "settings",
    "settings of the auth service that change while it runs",
    _text("name", "name of the setting"),
    _text("value", "its value"),
    PrimaryKeyConstraint("name"),
)

audit_events = _table(
    "audit_events",
    "the audit trail: append-only, which triggers hold, each event chained to the one before",
    Column("sequence", Whole, primary_key=True, autoincrement=False, comment="number of the event, from 1"),
    _whole("at", "when it happened, ms"),
    _text("action", "what was done or tried"),
    _text("outcome", "ok, or the code of the refusal"),
    _blob("account_id", "account that did it; empty if unknown", nullable=True),
    _text("key_id", "root key or token key that it was done with; may be empty", nullable=True),
    _text("address", "where it came from; empty on the node's own machine", nullable=True),
    _text("method", "log-in method; may be empty", nullable=True),
    _text("target", "what it was done to; may be empty", nullable=True),
    _text("details", "JSON object of texts"),
    _whole("left_out", "how many more of the same were left out before it"),
    _blob("digest", "hash of the one before and this event, 32 bytes"),
    Index("ix_audit_events_account_id", "account_id"),
)

audit_bounds = _keyed(
    "audit_bounds",
    "what was refused lately, so that a flood doesn't fill the audit trail; the empty subject is everybody",
    _text("subject", "whose refusals"),
    _text("outcome", "code of the refusal"),
    _whole("began_at", "when its minute began, ms"),
    _whole("told", "how many events it had in that minute"),
    _whole("left_out", "how many were left out since the last one"),
    PrimaryKeyConstraint("subject", "outcome"),
)

audit_counts = _keyed(
    "audit_counts",
    "how often each kind of event came, those left out included",
    _text("action", "what was done or tried"),
    _text("outcome", "ok, or the code of the refusal"),
    _text("method", "log-in method, or nothing"),
    _whole("count", "how often"),
    PrimaryKeyConstraint("action", "outcome", "method"),
)
