"""One vote a user, where a policy's assignment is sticky.

Revision ID: 0005
"""

from alembic import op

revision = "0005"
down_revision = "0004"

# A voter is a hash under the rollout's secret salt: who it is can't be read here. The request is the one that votes.
SCHEMA = """
ALTER TABLE splits ADD COLUMN sticky boolean NOT NULL DEFAULT false;
CREATE TABLE votes (
    rollout     text NOT NULL,
    voter       bigint NOT NULL,
    request     uuid NOT NULL,
    PRIMARY KEY (rollout, voter)
);
"""


def upgrade() -> None:
    """Let splits be sticky, and gateways agree on who has voted."""
    op.execute(SCHEMA)
    op.execute("GRANT SELECT, INSERT ON votes TO swapgate_gateway")
    op.execute("GRANT SELECT, DELETE ON votes TO swapgate_controller")


def downgrade() -> None:
    """Forget the votes; a rollout under way would judge requests of one user as fresh coins, so end it before."""
    op.execute("DROP TABLE votes; ALTER TABLE splits DROP COLUMN sticky")
