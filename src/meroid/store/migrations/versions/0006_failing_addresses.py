"""Failed log-ins per address over all log-ins, and an order in which failures are forgotten."""

import sqlalchemy as sa
from alembic import op

revision = "0006_failing_addresses"
down_revision = "0005_audit_trail"
branch_labels = None
depends_on = None

_Whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table and the index; what is there stays as it is."""
    op.create_table(
        "failing_addresses",
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("level", _Whole, nullable=False),
        sa.Column("last_failed_at", _Whole, nullable=False),
        sa.PrimaryKeyConstraint("address", name=op.f("pk_failing_addresses")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("ix_failing_addresses_last_failed_at", "failing_addresses", ["last_failed_at"])
    op.create_index("ix_login_attempts_last_failed_at", "login_attempts", ["last_failed_at"])
