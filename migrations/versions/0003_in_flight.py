"""What gateways have in flight, so that a bench can give way to users.

Revision ID: 0003
"""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Let a gateway report how many calls of each application are under way."""
    op.execute("ALTER TABLE gateways ADD COLUMN in_flight jsonb NOT NULL DEFAULT '{}'")


def downgrade() -> None:
    """Forget it."""
    op.execute("ALTER TABLE gateways DROP COLUMN in_flight")
