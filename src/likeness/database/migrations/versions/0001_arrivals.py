"""Jobs, arrivals, results, who is named in them, and whom to tell.

Revision ID: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "arrival_jobs",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("owner", sa.String(128), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("callback", sa.Text()),
        sa.Column("created_at", _TIME, nullable=False, index=True),
        sa.Column("ended_at", _TIME),
        sa.Column("cancelled", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "arrivals",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("job", sa.String(32), sa.ForeignKey("arrival_jobs.id", ondelete="CASCADE"), index=True),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("again", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("content", sa.String(64), index=True),
        sa.Column("code", sa.String(64)),
        sa.Column("reason", sa.Text()),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("ended_at", _TIME, index=True),
    )
    op.create_table(
        "arrival_results",
        sa.Column("content", sa.String(64), primary_key=True),
        sa.Column("faces", sa.Integer(), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=False),
        sa.Column("answered_at", _TIME, nullable=False),
    )
    op.create_table(
        "arrival_people",
        sa.Column(
            "content", sa.String(64), sa.ForeignKey("arrival_results.content", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("person", sa.String(64), primary_key=True),
    )
    op.create_index("arrival_people_person", "arrival_people", ["person"])
    op.create_table(
        "arrival_tellings",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column(
            "job", sa.String(32), sa.ForeignKey("arrival_jobs.id", ondelete="CASCADE"), nullable=False, index=True
        ),
        sa.Column("photo", sa.String(32)),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("told_at", _TIME),
        sa.Column("reason", sa.Text()),
    )


def downgrade() -> None:
    """Drop the tables, with all that is in them."""
    for table in ("arrival_tellings", "arrival_people", "arrival_results", "arrivals", "arrival_jobs"):
        op.drop_table(table)
