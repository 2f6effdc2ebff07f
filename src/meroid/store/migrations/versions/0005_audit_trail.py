"""The audit trail, which nobody may change or shorten; what bounds it; and how often each kind of event came."""

import sqlalchemy as sa
from alembic import op

revision = "0005_audit_trail"
down_revision = "0004_token_expiry"
branch_labels = None
depends_on = None

_Whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables; the trail begins now."""
    op.create_table(
        "audit_events",
        sa.Column("sequence", _Whole, nullable=False, autoincrement=False),
        sa.Column("at", _Whole, nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("account_id", sa.LargeBinary(), nullable=True),
        sa.Column("key_id", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("method", sa.Text(), nullable=True),
        sa.Column("target", sa.Text(), nullable=True),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("left_out", _Whole, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_audit_events")),
        sqlite_strict=True,
    )
    op.create_index("ix_audit_events_account_id", "audit_events", ["account_id"])
    op.create_table(
        "audit_bounds",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("began_at", _Whole, nullable=False),
        sa.Column("told", _Whole, nullable=False),
        sa.Column("left_out", _Whole, nullable=False),
        sa.PrimaryKeyConstraint("subject", "outcome", name=op.f("pk_audit_bounds")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_counts",
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("count", _Whole, nullable=False),
        sa.PrimaryKeyConstraint("action", "outcome", "method", name=op.f("pk_audit_counts")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER audit_events_no_{verb.lower()} BEFORE {verb} ON audit_events "
            "BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END"
        )
