"""When a token key ends by itself."""

import sqlalchemy as sa
from alembic import op

revision = "0004_token_expiry"
down_revision = "0003_root_keys"
branch_labels = None
depends_on = None

_Whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the column and its index; what was minted before has no such end."""
    op.add_column("token_keys", sa.Column("expires_at", _Whole, nullable=True))
    op.create_index("ix_token_keys_expires_at", "token_keys", ["expires_at"])
