"""Log-ins bound to a key, the proofs that were used, and what the feed of revocations is read by."""

import sqlalchemy as sa
from alembic import op

revision = "0008_bound_tokens"
down_revision = "0007_login_links"
branch_labels = None
depends_on = None

_Whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make them; log-ins that are there are bound to no key."""
    op.add_column("families", sa.Column("proof_key", sa.Text, nullable=True))
    op.create_index("ix_families_proof_key", "families", ["proof_key"])
    for table in ("families", "root_keys", "token_keys"):
        op.create_index(f"ix_{table}_revoked_at", table, ["revoked_at"])
    op.create_table(
        "used_proofs",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("expires_at", _Whole, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_used_proofs"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("ix_used_proofs_expires_at", "used_proofs", ["expires_at"])
