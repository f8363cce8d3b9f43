"""Whose images were removed, where an operator limits how long they are kept.

Revision ID: 0004
"""

from alembic import op

revision = "0004"
down_revision = "0003"

SCHEMA = """
CREATE TABLE removed_images (
    bench      text PRIMARY KEY REFERENCES benches (id),
    removed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TRIGGER removed_images_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON removed_images
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""


def upgrade() -> None:
    """Let it be known of which benches the images are gone; the benches themselves never change."""
    op.execute(SCHEMA)
    op.execute("GRANT SELECT, INSERT ON removed_images TO swapgate_controller")


def downgrade() -> None:
    """Forget it; the images stay gone."""
    op.execute("DROP TABLE removed_images")
