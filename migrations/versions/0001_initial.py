"""Tables of the first release.

Revision ID: 0001
"""

from alembic import op

revision = "0001"
down_revision = None

SCHEMA = """
CREATE TABLE models (
    digest      text PRIMARY KEY,
    spec        json NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE lanes (
    name        text PRIMARY KEY,
    value       json NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE rollouts (
    number      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id          text NOT NULL UNIQUE GENERATED ALWAYS AS
                ('r-' || lpad(number::text, greatest(4, length(number::text)), '0')) STORED,
    lane        text NOT NULL REFERENCES lanes (name),
    state       text NOT NULL,
    open        boolean NOT NULL,
    version     bigint NOT NULL,
    value       json NOT NULL,
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
    rollout     text,
    value       json NOT NULL,
    written_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (lane, epoch)
);
CREATE INDEX split_history_rollout ON split_history (rollout);

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
    born_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE tallies (
    lane        text NOT NULL,
    epoch       bigint NOT NULL,
    window_no   bigint NOT NULL,
    replica     text NOT NULL,
    tally       jsonb NOT NULL,
    changed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (lane, epoch, window_no, replica)
);
-- Finds the tallies that changed late, so that sums of old windows can be kept.
CREATE INDEX tallies_changed ON tallies (lane, epoch, changed_at);
CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.changed_at = clock_timestamp();
    RETURN NEW;
END $$;
CREATE TRIGGER tallies_note_change BEFORE UPDATE ON tallies FOR EACH ROW EXECUTE FUNCTION note_change();

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
    rollout     text NOT NULL REFERENCES rollouts (id),
    kind        text NOT NULL,
    actor       text NOT NULL,
    reason      text NOT NULL,
    detail      json NOT NULL DEFAULT '{}',
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

-- Where the chain ends, so that entries missing at its end are noticed too. Only the trigger below moves it.
CREATE TABLE audit_head (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    seq         bigint NOT NULL,
    digest      text NOT NULL
);
INSERT INTO audit_head (seq, digest) VALUES (0, repeat('0', 64));

-- An entry must follow the last one; the row lock puts concurrent writers in line. The function has its
-- owner's rights, so nobody needs the right to move the head.
CREATE FUNCTION extend_audit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public AS $$
BEGIN
    UPDATE audit_head SET seq = NEW.seq, digest = NEW.digest
        WHERE seq = NEW.seq - 1 AND digest = NEW.previous;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'audit entry % does not follow the last one', NEW.seq
            USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN NEW;
END $$;
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER audit_extend BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION extend_audit();
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_head_kept BEFORE DELETE OR TRUNCATE ON audit_head
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER evidence_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON evidence
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
-- Also in sessions that play replica, which skip ordinary triggers.
ALTER TABLE audit ENABLE ALWAYS TRIGGER audit_extend;
ALTER TABLE audit ENABLE ALWAYS TRIGGER audit_append_only;
ALTER TABLE audit_head ENABLE ALWAYS TRIGGER audit_head_kept;
ALTER TABLE evidence ENABLE ALWAYS TRIGGER evidence_append_only;
"""

# Roles belong to the whole server, so another database's migration may create them at the same moment.
# Whoever migrates may then act as either role.
ROLES = """
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['swapgate_controller', 'swapgate_gateway'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN', name);
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
        IF NOT pg_has_role(current_user, name, 'SET') THEN
            EXECUTE format('GRANT %I TO CURRENT_USER', name);
        END IF;
    END LOOP;
END $$;
GRANT SELECT, INSERT, UPDATE ON lanes, rollouts, splits, requests, leader TO swapgate_controller;
GRANT SELECT, INSERT ON models, split_history, evidence, audit TO swapgate_controller;
GRANT SELECT, INSERT, DELETE ON tokens TO swapgate_controller;
GRANT SELECT, DELETE ON acks, gateways, tallies TO swapgate_controller;
GRANT SELECT ON audit_head TO swapgate_controller;
GRANT SELECT ON splits, lanes, models TO swapgate_gateway;
GRANT SELECT, INSERT, UPDATE ON acks, gateways, tallies TO swapgate_gateway;
"""


def upgrade() -> None:
    op.execute(SCHEMA)
    op.execute(ROLES)


def downgrade() -> None:
    raise NotImplementedError("the audit log is never dropped by a migration; restore a backup instead")
