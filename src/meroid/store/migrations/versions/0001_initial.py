"""The first schema; what each column means stands in `meroid.store.tables`."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import SchemaItem

revision = "0001_initial"
down_revision = None
branch_labels = None
depends_on = None

_Whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make all tables."""
    _contexts()
    _context_endpoints()
    _operations()
    _state()
    _epochs()
    _applications()
    _blobs()
    _blob_chunks()
    _aliases()
    _accounts()
    _key_log()
    _client_keys()
    _root_keys()
    _token_keys()
    _families()
    _refresh_tokens()
    _signing_keys()
    _login_attempts()
    _setup_code()
    _settings()
    _schema_meta()


def _blob(name: str, *items: SchemaItem, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.LargeBinary(), *items, nullable=nullable)


def _whole(name: str, *items: SchemaItem, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, _Whole, *items, nullable=nullable)


def _text(name: str, *items: SchemaItem, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), *items, nullable=nullable)


def _position() -> sa.Column[Any]:
    return sa.Column("position", _Whole, autoincrement=True, nullable=False)


def _contexts() -> None:
    op.create_table(
        "contexts",
        _blob("context_id"),
        _blob("application_id"),
        _text("protocol"),
        _blob("root_hash"),
        _whole("created_at"),
        sa.PrimaryKeyConstraint("context_id", name=op.f("pk_contexts")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _context_endpoints() -> None:
    op.create_table(
        "context_endpoints",
        _blob("context_id"),
        _text("endpoint"),
        sa.PrimaryKeyConstraint("context_id", "endpoint", name=op.f("pk_context_endpoints")),
        sa.ForeignKeyConstraint(["context_id"], ["contexts.context_id"], name=op.f("fk_context_endpoints_context_id")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _operations() -> None:
    op.create_table(
        "operations",
        _position(),
        _blob("operation_id"),
        _blob("context_id"),
        _blob("envelope"),
        _whole("applied", sa.CheckConstraint("applied IN (0, 1)", name=op.f("ck_operations_applied"))),
        _whole("received_at"),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_operations")),
        sa.UniqueConstraint("operation_id", name=op.f("uq_operations_operation_id")),
        sa.ForeignKeyConstraint(["context_id"], ["contexts.context_id"], name=op.f("fk_operations_context_id")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index("ix_operations_context_id_position", "operations", ["context_id", "position"])


def _state() -> None:
    op.create_table(
        "state",
        _blob("context_id"),
        _blob("key"),
        _blob("value"),
        sa.PrimaryKeyConstraint("context_id", "key", name=op.f("pk_state")),
        sa.ForeignKeyConstraint(["context_id"], ["contexts.context_id"], name=op.f("fk_state_context_id")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _epochs() -> None:
    op.create_table(
        "epochs",
        _blob("context_id"),
        _blob("epoch_id"),
        _blob("epoch_key", sa.CheckConstraint("LENGTH(epoch_key) = 32", name=op.f("ck_epochs_epoch_key"))),
        sa.PrimaryKeyConstraint("context_id", "epoch_id", name=op.f("pk_epochs")),
        sa.ForeignKeyConstraint(["context_id"], ["contexts.context_id"], name=op.f("fk_epochs_context_id")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _applications() -> None:
    op.create_table(
        "applications",
        _blob("application_id"),
        _blob("blob_id"),
        _whole("size"),
        _text("source"),
        _blob("metadata"),
        _text("package"),
        _text("version"),
        _whole("installed_at"),
        sa.PrimaryKeyConstraint("application_id", name=op.f("pk_applications")),
        sqlite_strict=True,
    )


def _blobs() -> None:
    op.create_table(
        "blobs",
        _blob("blob_id"),
        _whole("size"),
        _whole("stored_at"),
        sa.PrimaryKeyConstraint("blob_id", name=op.f("pk_blobs")),
        sqlite_strict=True,
    )


def _blob_chunks() -> None:
    op.create_table(
        "blob_chunks",
        _blob("blob_id"),
        _whole("number"),
        _blob("content", sa.CheckConstraint("LENGTH(content) <= 1048576", name=op.f("ck_blob_chunks_content"))),
        sa.PrimaryKeyConstraint("blob_id", "number", name=op.f("pk_blob_chunks")),
        sa.ForeignKeyConstraint(["blob_id"], ["blobs.blob_id"], name=op.f("fk_blob_chunks_blob_id")),
        sqlite_strict=True,
    )


def _aliases() -> None:
    op.create_table(
        "aliases",
        _text("scope"),
        _blob("context_id"),
        _text("name"),
        _blob("target"),
        sa.PrimaryKeyConstraint("scope", "context_id", "name", name=op.f("pk_aliases")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _accounts() -> None:
    op.create_table(
        "accounts",
        _blob("account_id"),
        _blob("sealed_seed"),
        _whole("device"),
        _whole("created_at"),
        _whole("owner", sa.CheckConstraint("owner IN (0, 1)", name=op.f("ck_accounts_owner"))),
        _whole("backed_up_at", nullable=True),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_accounts")),
        sqlite_strict=True,
    )
    op.create_index(
        "uq_accounts_owner",
        "accounts",
        ["owner"],
        unique=True,
        sqlite_where=sa.text("owner = 1"),
        postgresql_where=sa.text("owner = 1"),
    )


def _key_log() -> None:
    op.create_table(
        "key_log",
        _blob("account_id"),
        _whole("sequence"),
        _blob("entry"),
        sa.PrimaryKeyConstraint("account_id", "sequence", name=op.f("pk_key_log")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name=op.f("fk_key_log_account_id")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _client_keys() -> None:
    op.create_table(
        "client_keys",
        _position(),
        _blob("public_key"),
        _blob("account_id"),
        _whole("device"),
        _whole("slot"),
        _whole("generation"),
        _blob("context_id", nullable=True),
        _whole("created_at"),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_client_keys")),
        sa.UniqueConstraint("public_key", name=op.f("uq_client_keys_public_key")),
        sa.UniqueConstraint(
            "account_id", "device", "slot", "generation", name=op.f("uq_client_keys_account_id_device_slot_generation")
        ),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name=op.f("fk_client_keys_account_id")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index("ix_client_keys_context_id", "client_keys", ["context_id"])
    op.create_index(
        "ix_client_keys_unbound",
        "client_keys",
        ["account_id"],
        sqlite_where=sa.text("context_id IS NULL"),
        postgresql_where=sa.text("context_id IS NULL"),
    )


def _root_keys() -> None:
    op.create_table(
        "root_keys",
        _position(),
        _text("key_id"),
        _blob("account_id"),
        _text("method"),
        _text("identifier"),
        _text("verifier", nullable=True),
        _text("permissions"),
        _whole("created_at"),
        _whole("last_used_at", nullable=True),
        _whole("revoked_at", nullable=True),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_root_keys")),
        sa.UniqueConstraint("key_id", name=op.f("uq_root_keys_key_id")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name=op.f("fk_root_keys_account_id")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index("ix_root_keys_account_id", "root_keys", ["account_id"])
    op.create_index(
        "uq_root_keys_live_login",
        "root_keys",
        ["method", "identifier"],
        unique=True,
        sqlite_where=sa.text("revoked_at IS NULL"),
        postgresql_where=sa.text("revoked_at IS NULL"),
    )


def _token_keys() -> None:
    op.create_table(
        "token_keys",
        _position(),
        _text("client_id"),
        _text("root_key_id"),
        _blob("account_id"),
        _text("name"),
        _text("permissions"),
        _blob("context_id", nullable=True),
        _blob("executor", nullable=True),
        _text("node_url", nullable=True),
        _whole("created_at"),
        _whole("revoked_at", nullable=True),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_token_keys")),
        sa.UniqueConstraint("client_id", name=op.f("uq_token_keys_client_id")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name=op.f("fk_token_keys_account_id")),
        sa.ForeignKeyConstraint(["root_key_id"], ["root_keys.key_id"], name=op.f("fk_token_keys_root_key_id")),
        sa.CheckConstraint("(context_id IS NULL) = (executor IS NULL)", name=op.f("ck_token_keys_bound")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index("ix_token_keys_account_id", "token_keys", ["account_id"])
    op.create_index("ix_token_keys_executor", "token_keys", ["executor"])
    op.create_index("ix_token_keys_root_key_id", "token_keys", ["root_key_id"])


def _families() -> None:
    op.create_table(
        "families",
        _text("family_id"),
        _text("key_id"),
        _text("narrowed_to", nullable=True),
        _whole("logged_in_at", nullable=True),
        _whole("created_at"),
        _whole("revoked_at", nullable=True),
        sa.PrimaryKeyConstraint("family_id", name=op.f("pk_families")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _refresh_tokens() -> None:
    op.create_table(
        "refresh_tokens",
        _text("jti"),
        _text("family_id"),
        _whole("issued_at"),
        _whole("expires_at"),
        _text("successor", nullable=True),
        _whole("exchanged_at", nullable=True),
        sa.PrimaryKeyConstraint("jti", name=op.f("pk_refresh_tokens")),
        sa.ForeignKeyConstraint(["family_id"], ["families.family_id"], name=op.f("fk_refresh_tokens_family_id")),
        sa.CheckConstraint("(successor IS NULL) = (exchanged_at IS NULL)", name=op.f("ck_refresh_tokens_exchanged")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("ix_refresh_tokens_expires_at", "refresh_tokens", ["expires_at"])


def _signing_keys() -> None:
    op.create_table(
        "signing_keys",
        _position(),
        _text("kid"),
        _blob("sealed_secret"),
        _blob("public_key"),
        _whole("created_at"),
        _whole("retired_at", nullable=True),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_signing_keys")),
        sa.UniqueConstraint("kid", name=op.f("uq_signing_keys_kid")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )


def _login_attempts() -> None:
    op.create_table(
        "login_attempts",
        _blob("login"),
        _text("address"),
        _whole("failures"),
        _whole("last_failed_at", nullable=True),
        _whole("last_succeeded_at", nullable=True),
        sa.PrimaryKeyConstraint("login", "address", name=op.f("pk_login_attempts")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _setup_code() -> None:
    op.create_table(
        "setup_code",
        sa.Column(
            "id",
            _Whole,
            sa.CheckConstraint("id = 1", name=op.f("ck_setup_code_one")),
            autoincrement=False,
            nullable=False,
        ),
        _blob("code_hash"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_setup_code")),
        sqlite_strict=True,
    )


def _settings() -> None:
    op.create_table(
        "settings",
        _text("name"),
        _text("value"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_settings")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _schema_meta() -> None:
    op.create_table(
        "schema_meta",
        sa.Column(
            "id",
            _Whole,
            sa.CheckConstraint("id = 1", name=op.f("ck_schema_meta_one")),
            autoincrement=False,
            nullable=False,
        ),
        _whole("oldest_code_schema"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schema_meta")),
        sqlite_strict=True,
    )
    op.execute("INSERT INTO schema_meta (id, oldest_code_schema) VALUES (1, 1)")
