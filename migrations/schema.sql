CREATE FUNCTION public.extend_audit() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public'
    AS $$
BEGIN
    UPDATE audit_head SET seq = NEW.seq, digest = NEW.digest
        WHERE seq = NEW.seq - 1 AND digest = NEW.previous;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'audit entry % does not follow the last one', NEW.seq
            USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN NEW;
END $$;
CREATE FUNCTION public.note_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    NEW.changed_at = clock_timestamp();
    RETURN NEW;
END $$;
CREATE FUNCTION public.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TABLE public.acks (
    lane text NOT NULL,
    epoch bigint NOT NULL,
    replica text NOT NULL,
    applied_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
CREATE TABLE public.audit (
    seq bigint NOT NULL,
    at text NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    lane text,
    rollout text,
    from_state text,
    to_state text,
    reason text NOT NULL,
    detail text NOT NULL,
    previous text NOT NULL,
    digest text NOT NULL
);
CREATE TABLE public.audit_head (
    only_row boolean DEFAULT true NOT NULL,
    seq bigint NOT NULL,
    digest text NOT NULL,
    CONSTRAINT audit_head_only_row_check CHECK (only_row)
);
CREATE TABLE public.bench_shots (
    bench text NOT NULL,
    key text NOT NULL,
    payload json NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
CREATE TABLE public.benches (
    number bigint NOT NULL,
    id text GENERATED ALWAYS AS (('b-'::text || lpad((number)::text, GREATEST(4, length((number)::text)), '0'::text))) STORED NOT NULL,
    lane text NOT NULL,
    rollout text,
    key text NOT NULL,
    value json NOT NULL,
    verdict text,
    reason text DEFAULT ''::text NOT NULL,
    result text,
    detail json DEFAULT '{}'::json NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    finished_at timestamp with time zone,
    CONSTRAINT benches_check CHECK (((verdict IS NULL) = (finished_at IS NULL))),
    CONSTRAINT benches_verdict_check CHECK ((verdict = ANY (ARRAY['pass'::text, 'fail'::text, 'inconclusive'::text, 'no_evidence'::text])))
);
ALTER TABLE public.benches ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.benches_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.evidence (
    rollout text NOT NULL,
    seq bigint NOT NULL,
    payload text NOT NULL,
    digest text NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
CREATE TABLE public.gateways (
    replica text NOT NULL,
    watermark_s double precision NOT NULL,
    epochs jsonb NOT NULL,
    born_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    seen_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    in_flight jsonb DEFAULT '{}'::jsonb NOT NULL
);
CREATE TABLE public.lanes (
    name text NOT NULL,
    value json NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
CREATE TABLE public.leader (
    only_row boolean DEFAULT true NOT NULL,
    holder text NOT NULL,
    token bigint NOT NULL,
    until timestamp with time zone NOT NULL,
    CONSTRAINT leader_only_row_check CHECK (only_row)
);
CREATE TABLE public.models (
    digest text NOT NULL,
    spec json NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
CREATE TABLE public.removed_images (
    bench text NOT NULL,
    removed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
CREATE TABLE public.requests (
    id bigint NOT NULL,
    rollout text NOT NULL,
    kind text NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL,
    detail json DEFAULT '{}'::json NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    outcome text,
    done_at timestamp with time zone
);
ALTER TABLE public.requests ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.requests_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.rollouts (
    number bigint NOT NULL,
    id text GENERATED ALWAYS AS (('r-'::text || lpad((number)::text, GREATEST(4, length((number)::text)), '0'::text))) STORED NOT NULL,
    lane text NOT NULL,
    state text NOT NULL,
    open boolean NOT NULL,
    version bigint NOT NULL,
    value json NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
ALTER TABLE public.rollouts ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.rollouts_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.split_history (
    lane text NOT NULL,
    epoch bigint NOT NULL,
    rollout text,
    value json NOT NULL,
    written_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
CREATE TABLE public.splits (
    lane text NOT NULL,
    epoch bigint NOT NULL,
    incumbent text NOT NULL,
    candidate text,
    share double precision NOT NULL,
    mode text NOT NULL,
    salt text NOT NULL,
    rollout text,
    flipped boolean DEFAULT false NOT NULL,
    timeout_s double precision NOT NULL,
    lease_until timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    written_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    sticky boolean DEFAULT false NOT NULL,
    CONSTRAINT splits_mode_check CHECK ((mode = ANY (ARRAY['share'::text, 'shadow'::text]))),
    CONSTRAINT splits_share_check CHECK (((share >= (0)::double precision) AND (share <= (1)::double precision)))
);
CREATE TABLE public.suites (
    digest text NOT NULL,
    value json NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
CREATE TABLE public.tallies (
    lane text NOT NULL,
    epoch bigint NOT NULL,
    window_no bigint NOT NULL,
    replica text NOT NULL,
    tally jsonb NOT NULL,
    changed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
CREATE TABLE public.tokens (
    name text NOT NULL,
    sha256 text NOT NULL,
    role text NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT tokens_role_check CHECK ((role = ANY (ARRAY['viewer'::text, 'operator'::text])))
);
CREATE TABLE public.votes (
    rollout text NOT NULL,
    voter bigint NOT NULL,
    request uuid NOT NULL
);
ALTER TABLE ONLY public.acks
    ADD CONSTRAINT acks_pkey PRIMARY KEY (lane, epoch, replica);
ALTER TABLE ONLY public.audit_head
    ADD CONSTRAINT audit_head_pkey PRIMARY KEY (only_row);
ALTER TABLE ONLY public.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY public.bench_shots
    ADD CONSTRAINT bench_shots_pkey PRIMARY KEY (bench, key);
ALTER TABLE ONLY public.benches
    ADD CONSTRAINT benches_id_key UNIQUE (id);
ALTER TABLE ONLY public.benches
    ADD CONSTRAINT benches_pkey PRIMARY KEY (number);
ALTER TABLE ONLY public.benches
    ADD CONSTRAINT benches_rollout_key UNIQUE (rollout);
ALTER TABLE ONLY public.evidence
    ADD CONSTRAINT evidence_pkey PRIMARY KEY (rollout, seq);
ALTER TABLE ONLY public.gateways
    ADD CONSTRAINT gateways_pkey PRIMARY KEY (replica);
ALTER TABLE ONLY public.lanes
    ADD CONSTRAINT lanes_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.leader
    ADD CONSTRAINT leader_pkey PRIMARY KEY (only_row);
ALTER TABLE ONLY public.models
    ADD CONSTRAINT models_pkey PRIMARY KEY (digest);
ALTER TABLE ONLY public.removed_images
    ADD CONSTRAINT removed_images_pkey PRIMARY KEY (bench);
ALTER TABLE ONLY public.requests
    ADD CONSTRAINT requests_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.rollouts
    ADD CONSTRAINT rollouts_id_key UNIQUE (id);
ALTER TABLE ONLY public.rollouts
    ADD CONSTRAINT rollouts_pkey PRIMARY KEY (number);
ALTER TABLE ONLY public.split_history
    ADD CONSTRAINT split_history_pkey PRIMARY KEY (lane, epoch);
ALTER TABLE ONLY public.splits
    ADD CONSTRAINT splits_pkey PRIMARY KEY (lane);
ALTER TABLE ONLY public.suites
    ADD CONSTRAINT suites_pkey PRIMARY KEY (digest);
ALTER TABLE ONLY public.tallies
    ADD CONSTRAINT tallies_pkey PRIMARY KEY (lane, epoch, window_no, replica);
ALTER TABLE ONLY public.tokens
    ADD CONSTRAINT tokens_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.tokens
    ADD CONSTRAINT tokens_sha256_key UNIQUE (sha256);
ALTER TABLE ONLY public.votes
    ADD CONSTRAINT votes_pkey PRIMARY KEY (rollout, voter);
CREATE INDEX audit_rollout ON public.audit USING btree (rollout, seq);
CREATE UNIQUE INDEX benches_one_unfinished ON public.benches USING btree (key) WHERE (verdict IS NULL);
CREATE INDEX requests_waiting ON public.requests USING btree (id) WHERE (outcome IS NULL);
CREATE UNIQUE INDEX rollouts_one_open ON public.rollouts USING btree (lane) WHERE open;
CREATE INDEX split_history_rollout ON public.split_history USING btree (rollout);
CREATE INDEX tallies_changed ON public.tallies USING btree (lane, epoch, changed_at);
CREATE TRIGGER audit_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.audit FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();
ALTER TABLE public.audit ENABLE ALWAYS TRIGGER audit_append_only;
CREATE TRIGGER audit_extend BEFORE INSERT ON public.audit FOR EACH ROW EXECUTE FUNCTION public.extend_audit();
ALTER TABLE public.audit ENABLE ALWAYS TRIGGER audit_extend;
CREATE TRIGGER audit_head_kept BEFORE DELETE OR TRUNCATE ON public.audit_head FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();
ALTER TABLE public.audit_head ENABLE ALWAYS TRIGGER audit_head_kept;
CREATE TRIGGER bench_shots_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.bench_shots FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();
CREATE TRIGGER benches_finish_once BEFORE UPDATE ON public.benches FOR EACH ROW WHEN ((old.verdict IS NOT NULL)) EXECUTE FUNCTION public.refuse_change();
CREATE TRIGGER benches_kept BEFORE DELETE OR TRUNCATE ON public.benches FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();
CREATE TRIGGER evidence_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.evidence FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();
ALTER TABLE public.evidence ENABLE ALWAYS TRIGGER evidence_append_only;
CREATE TRIGGER removed_images_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.removed_images FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();
CREATE TRIGGER suites_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.suites FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();
CREATE TRIGGER tallies_note_change BEFORE UPDATE ON public.tallies FOR EACH ROW EXECUTE FUNCTION public.note_change();
ALTER TABLE ONLY public.bench_shots
    ADD CONSTRAINT bench_shots_bench_fkey FOREIGN KEY (bench) REFERENCES public.benches(id);
ALTER TABLE ONLY public.benches
    ADD CONSTRAINT benches_lane_fkey FOREIGN KEY (lane) REFERENCES public.lanes(name);
ALTER TABLE ONLY public.benches
    ADD CONSTRAINT benches_rollout_fkey FOREIGN KEY (rollout) REFERENCES public.rollouts(id);
ALTER TABLE ONLY public.removed_images
    ADD CONSTRAINT removed_images_bench_fkey FOREIGN KEY (bench) REFERENCES public.benches(id);
ALTER TABLE ONLY public.requests
    ADD CONSTRAINT requests_rollout_fkey FOREIGN KEY (rollout) REFERENCES public.rollouts(id);
ALTER TABLE ONLY public.rollouts
    ADD CONSTRAINT rollouts_lane_fkey FOREIGN KEY (lane) REFERENCES public.lanes(name);
ALTER TABLE ONLY public.splits
    ADD CONSTRAINT splits_lane_fkey FOREIGN KEY (lane) REFERENCES public.lanes(name);
GRANT SELECT,DELETE ON TABLE public.acks TO swapgate_controller;
GRANT SELECT,INSERT,UPDATE ON TABLE public.acks TO swapgate_gateway;
GRANT SELECT,INSERT ON TABLE public.audit TO swapgate_controller;
GRANT SELECT ON TABLE public.audit_head TO swapgate_controller;
GRANT SELECT,INSERT ON TABLE public.bench_shots TO swapgate_controller;
GRANT SELECT,INSERT ON TABLE public.benches TO swapgate_controller;
GRANT UPDATE(value) ON TABLE public.benches TO swapgate_controller;
GRANT UPDATE(verdict) ON TABLE public.benches TO swapgate_controller;
GRANT UPDATE(reason) ON TABLE public.benches TO swapgate_controller;
GRANT UPDATE(result) ON TABLE public.benches TO swapgate_controller;
GRANT UPDATE(detail) ON TABLE public.benches TO swapgate_controller;
GRANT UPDATE(finished_at) ON TABLE public.benches TO swapgate_controller;
GRANT SELECT,INSERT ON TABLE public.evidence TO swapgate_controller;
GRANT SELECT,DELETE ON TABLE public.gateways TO swapgate_controller;
GRANT SELECT,INSERT,UPDATE ON TABLE public.gateways TO swapgate_gateway;
GRANT SELECT,INSERT,UPDATE ON TABLE public.lanes TO swapgate_controller;
GRANT SELECT ON TABLE public.lanes TO swapgate_gateway;
GRANT SELECT,INSERT,UPDATE ON TABLE public.leader TO swapgate_controller;
GRANT SELECT,INSERT ON TABLE public.models TO swapgate_controller;
GRANT SELECT ON TABLE public.models TO swapgate_gateway;
GRANT SELECT,INSERT ON TABLE public.removed_images TO swapgate_controller;
GRANT SELECT,INSERT,UPDATE ON TABLE public.requests TO swapgate_controller;
GRANT SELECT,INSERT,UPDATE ON TABLE public.rollouts TO swapgate_controller;
GRANT SELECT,INSERT ON TABLE public.split_history TO swapgate_controller;
GRANT SELECT,INSERT,UPDATE ON TABLE public.splits TO swapgate_controller;
GRANT SELECT ON TABLE public.splits TO swapgate_gateway;
GRANT SELECT,INSERT ON TABLE public.suites TO swapgate_controller;
GRANT SELECT,DELETE ON TABLE public.tallies TO swapgate_controller;
GRANT SELECT,INSERT,UPDATE ON TABLE public.tallies TO swapgate_gateway;
GRANT SELECT,INSERT,DELETE ON TABLE public.tokens TO swapgate_controller;
GRANT SELECT,INSERT ON TABLE public.votes TO swapgate_gateway;
GRANT SELECT,DELETE ON TABLE public.votes TO swapgate_controller;
