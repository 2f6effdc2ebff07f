"""Labels of accounts, log-in links, and sign-ups."""

import sqlalchemy as sa
from alembic import op

revision = "0007_login_links"
down_revision = "0006_failing_addresses"
branch_labels = None
depends_on = None

_Whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the column and the tables; accounts that are there have no label."""
    op.add_column("accounts", sa.Column("label", sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "login_links",
        sa.Column("link_id", sa.Text(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("account_id", sa.LargeBinary(), nullable=True),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("made_by", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", _Whole, nullable=False),
        sa.Column("expires_at", _Whole, nullable=False),
        sa.Column("used_at", _Whole, nullable=True),
        sa.Column("withdrawn_at", _Whole, nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name=op.f("fk_login_links_account_id")),
        sa.ForeignKeyConstraint(["made_by"], ["accounts.account_id"], name=op.f("fk_login_links_made_by")),
        sa.PrimaryKeyConstraint("link_id", name=op.f("pk_login_links")),
        sa.UniqueConstraint("code_hash", name=op.f("uq_login_links_code_hash")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("ix_login_links_made_by", "login_links", ["made_by"])
    op.create_index("ix_login_links_expires_at", "login_links", ["expires_at"])
    op.create_table(
        "sign_ups",
        sa.Column("position", _Whole, autoincrement=True, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("created_at", _Whole, nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_sign_ups")),
        sqlite_strict=True,
        sqlite_autoincrement=True,
    )
    op.create_index("ix_sign_ups_address_created_at", "sign_ups", ["address", "created_at"])
    op.create_index("ix_sign_ups_created_at", "sign_ups", ["created_at"])
