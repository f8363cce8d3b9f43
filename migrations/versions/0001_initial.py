"""Tables of the first release.

Revision ID: 0001
"""

from alembic import op

revision = "0001"
down_revision = None

SCHEMA = """
CREATE TABLE models (
    digest      text PRIMARY KEY,
    spec        jsonb NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE lanes (
    name        text PRIMARY KEY,
    value       jsonb NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE rollouts (
    number      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id          text GENERATED ALWAYS AS ('r-' || lpad(number::text, greatest(4, length(number::text)), '0')) STORED UNIQUE,
    lane        text NOT NULL REFERENCES lanes (name),
    state       text NOT NULL,
    open        boolean NOT NULL,
    version     bigint NOT NULL,
    value       jsonb NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- At most one open rollout a lane: this index is the lock.
CREATE UNIQUE INDEX rollouts_one_open ON rollouts (lane) WHERE open;

CREATE TABLE splits (
    lane        text PRIMARY KEY REFERENCES lanes (name),
    epoch       bigint NOT NULL,
    incumbent   text NOT NULL,
    candidate   text,
    share       double precision NOT NULL CHECK (share BETWEEN 0 AND 1),
    mode        text NOT NULL CHECK (mode IN ('share', 'shadow')),
    salt        text NOT NULL,
    rollout     text,
    flipped     boolean NOT NULL DEFAULT false,
    timeout_s   double precision NOT NULL,
    lease_until timestamptz NOT NULL DEFAULT '-infinity',
    written_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Every split a lane ever had, for replay and for measuring how fast gateways follow.
CREATE TABLE split_history (
    lane        text NOT NULL,
    epoch       bigint NOT NULL,
    value       jsonb NOT NULL,
    written_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (lane, epoch)
);

CREATE TABLE acks (
    lane        text NOT NULL,
    epoch       bigint NOT NULL,
    replica     text NOT NULL,
    applied_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (lane, epoch, replica)
);

CREATE TABLE gateways (
    replica     text PRIMARY KEY,
    watermark_s double precision NOT NULL,
    epochs      jsonb NOT NULL,
    seen_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE tallies (
    lane        text NOT NULL,
    epoch       bigint NOT NULL,
    window_no   bigint NOT NULL,
    replica     text NOT NULL,
    tally       jsonb NOT NULL,
    PRIMARY KEY (lane, epoch, window_no, replica)
);

CREATE TABLE evidence (
    rollout     text NOT NULL,
    seq         bigint NOT NULL,
    payload     text NOT NULL,
    digest      text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (rollout, seq)
);

CREATE TABLE requests (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rollout     text NOT NULL,
    kind        text NOT NULL,
    actor       text NOT NULL,
    reason      text NOT NULL,
    detail      jsonb NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    outcome     text,
    done_at     timestamptz
);
CREATE INDEX requests_waiting ON requests (id) WHERE outcome IS NULL;

CREATE TABLE leader (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    holder      text NOT NULL,
    token       bigint NOT NULL,
    until       timestamptz NOT NULL
);

CREATE TABLE tokens (
    name        text PRIMARY KEY,
    sha256      text NOT NULL UNIQUE,
    role        text NOT NULL CHECK (role IN ('viewer', 'operator')),
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE audit (
    seq         bigint PRIMARY KEY,
    at          text NOT NULL,
    actor       text NOT NULL,
    action      text NOT NULL,
    lane        text,
    rollout     text,
    from_state  text,
    to_state    text,
    reason      text NOT NULL,
    detail      text NOT NULL,
    previous    text NOT NULL,
    digest      text NOT NULL
);
CREATE INDEX audit_rollout ON audit (rollout, seq);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER evidence_append_only BEFORE UPDATE OR DELETE ON evidence
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER evidence_no_truncate BEFORE TRUNCATE ON evidence
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

ROLES = """
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'swapgate_controller') THEN
        CREATE ROLE swapgate_controller NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'swapgate_gateway') THEN
        CREATE ROLE swapgate_gateway NOLOGIN;
    END IF;
END $$;
GRANT SELECT, INSERT, UPDATE ON models, lanes, rollouts, splits, split_history, requests, leader, tokens
    TO swapgate_controller;
GRANT SELECT, DELETE ON acks, gateways, tallies TO swapgate_controller;
GRANT SELECT, INSERT ON evidence, audit TO swapgate_controller;
GRANT SELECT ON splits TO swapgate_gateway;
GRANT SELECT, INSERT, UPDATE ON acks, gateways, tallies TO swapgate_gateway;
"""


def upgrade() -> None:
    op.execute(SCHEMA)
    op.execute(ROLES)


def downgrade() -> None:
    raise NotImplementedError("the audit log is never dropped by a migration; restore a backup instead")
