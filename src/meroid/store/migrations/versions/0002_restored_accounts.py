"""Accounts that came from a backup, and accounts that are disabled."""

import sqlalchemy as sa
from alembic import op

revision = "0002_restored_accounts"
down_revision = "0001_initial"
branch_labels = None
depends_on = None

_Whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the columns; what is there is neither restored nor disabled."""
    op.add_column("accounts", sa.Column("disabled_at", _Whole, nullable=True))
    op.add_column("accounts", sa.Column("log_unsettled_at", _Whole, nullable=True))
    op.add_column("client_keys", sa.Column("restored_at", _Whole, nullable=True))
