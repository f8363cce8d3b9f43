"""The offline gate: suites, benches and the result of every image they drew.

Revision ID: 0002
"""

from alembic import op

revision = "0002"
down_revision = "0001"

SCHEMA = """
CREATE TABLE suites (
    digest      text PRIMARY KEY,
    value       json NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE benches (
    number      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id          text NOT NULL UNIQUE GENERATED ALWAYS AS
                ('b-' || lpad(number::text, greatest(4, length(number::text)), '0')) STORED,
    lane        text NOT NULL REFERENCES lanes (name),
    rollout     text UNIQUE REFERENCES rollouts (id),
    key         text NOT NULL,
    value       json NOT NULL,
    verdict     text CHECK (verdict IN ('pass', 'fail', 'inconclusive', 'no_evidence')),
    reason      text NOT NULL DEFAULT '',
    result      text,
    detail      json NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    CHECK ((verdict IS NULL) = (finished_at IS NULL))
);
-- The same question is asked once at a time: who asks again gets the bench that is under way.
CREATE UNIQUE INDEX benches_one_unfinished ON benches (key) WHERE verdict IS NULL;

CREATE TABLE bench_shots (
    bench       text NOT NULL REFERENCES benches (id),
    key         text NOT NULL,
    payload     json NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (bench, key)
);

CREATE TRIGGER suites_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON suites
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER bench_shots_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON bench_shots
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER benches_kept BEFORE DELETE OR TRUNCATE ON benches
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
-- A bench changes once, when it is over.
CREATE TRIGGER benches_finish_once BEFORE UPDATE ON benches
    FOR EACH ROW WHEN (OLD.verdict IS NOT NULL) EXECUTE FUNCTION refuse_change();
"""

GRANTS = """
GRANT SELECT, INSERT ON suites, benches, bench_shots TO swapgate_controller;
GRANT UPDATE (value, verdict, reason, result, detail, finished_at) ON benches TO swapgate_controller;
"""


def upgrade() -> None:
    op.execute(SCHEMA)
    op.execute(GRANTS)


def downgrade() -> None:
    raise NotImplementedError("results that decisions rest on are never dropped by a migration; restore a backup")
