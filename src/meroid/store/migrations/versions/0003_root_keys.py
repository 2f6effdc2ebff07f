"""Challenges that were used, when a password was changed, and the families of a key found by its id."""

import sqlalchemy as sa
from alembic import op

revision = "0003_root_keys"
down_revision = "0002_restored_accounts"
branch_labels = None
depends_on = None

_Whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table, the column and the index; what is there stays as it is."""
    op.create_table(
        "used_challenges",
        sa.Column("nonce", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", _Whole, nullable=False),
        sa.PrimaryKeyConstraint("nonce", name=op.f("pk_used_challenges")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("ix_used_challenges_expires_at", "used_challenges", ["expires_at"])
    op.add_column("root_keys", sa.Column("changed_at", _Whole, nullable=True))
    op.create_index("ix_families_key_id", "families", ["key_id"])
