-- What each service's database has before its own tables: the clock, row-level security as a procedure,
-- and the tables that kit itself uses. Runs as the service's owner; current_setting('kit.service') names the service.

-- Time in SQL comes from here alone, so that a simulation can replace it.
CREATE FUNCTION kit_now() RETURNS timestamptz
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT statement_timestamp() $$;

CREATE FUNCTION kit_role(kind text) RETURNS text
    LANGUAGE sql STABLE
    AS $$ SELECT current_setting('kit.service') || '_' || kind $$;

-- Grants on a table and on the sequences that its columns own.
CREATE PROCEDURE kit_grant(name text, kind text, privileges text)
    LANGUAGE plpgsql AS $$
DECLARE
    sequence regclass;
BEGIN
    EXECUTE format('GRANT %s ON %I TO %I', privileges, name, kit_role(kind));
    IF privileges NOT ILIKE '%INSERT%' THEN
        RETURN;
    END IF;
    FOR sequence IN
        SELECT d.objid::regclass FROM pg_depend d JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S'
        WHERE d.refobjid = to_regclass(quote_ident(name)) AND d.classid = 'pg_class'::regclass
    LOOP
        EXECUTE format('GRANT USAGE ON SEQUENCE %s TO %I', sequence, kit_role(kind));
    END LOOP;
END $$;

-- A table of tenant data: tenant_id first in its primary key, row-level security forced, the app role sees the
-- tenant of its transaction only; with worker => true a batch of a worker sees all tenants.
CREATE PROCEDURE kit_tenant_table(
    name text,
    worker boolean DEFAULT false,
    app text DEFAULT 'SELECT, INSERT, UPDATE, DELETE',
    worker_privileges text DEFAULT 'SELECT, INSERT, UPDATE, DELETE')
    LANGUAGE plpgsql AS $$
DECLARE
    -- The subquery is evaluated once a statement, not once a row. After a transaction with SET LOCAL the setting
    -- is '' and not NULL: nullif. Nobody's transaction has no tenant: it sees nothing.
    own_tenant text := 'tenant_id = (SELECT nullif(current_setting(''app.tenant'', true), '''')::uuid)';
    first_key text;
BEGIN
    SELECT a.attname INTO first_key
    FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    WHERE i.indrelid = to_regclass(quote_ident(name)) AND i.indisprimary;
    IF first_key IS DISTINCT FROM 'tenant_id' THEN
        RAISE EXCEPTION 'table % must have tenant_id first in its primary key', name;
    END IF;
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE POLICY kit_app ON %I TO %I USING (%s) WITH CHECK (%s)',
                   name, kit_role('app'), own_tenant, own_tenant);
    IF app <> '' THEN
        CALL kit_grant(name, 'app', app);
    END IF;
    IF worker THEN
        EXECUTE format('CREATE POLICY kit_worker ON %I TO %I USING (true) WITH CHECK (true)', name, kit_role('worker'));
        CALL kit_grant(name, 'worker', worker_privileges);
    END IF;
END $$;

-- A table without tenant data, for the worker alone.
CREATE PROCEDURE kit_worker_table(name text, privileges text DEFAULT 'SELECT, INSERT, UPDATE, DELETE')
    LANGUAGE plpgsql AS $$
BEGIN
    CALL kit_grant(name, 'worker', privileges);
END $$;

-- A reference table without tenant data, for both roles.
CREATE PROCEDURE kit_shared_table(
    name text, app text DEFAULT 'SELECT', worker text DEFAULT 'SELECT, INSERT, UPDATE, DELETE')
    LANGUAGE plpgsql AS $$
BEGIN
    CALL kit_grant(name, 'app', app);
    CALL kit_grant(name, 'worker', worker);
END $$;

-- Events on their way to Kafka. Ids order them within a lane; they commit out of order, so readers take the lowest
-- and delete what was acknowledged. Rows live for milliseconds: room on the page, vacuum by count, values neither
-- compressed (the producer does) nor inline.
CREATE TABLE outbox (
    lane smallint NOT NULL CHECK (lane IN (1, 2)),
    id bigint GENERATED ALWAYS AS IDENTITY,
    event_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    topic text NOT NULL,
    key bytea NOT NULL,
    value bytea NOT NULL,
    type text NOT NULL,
    time_unix_ms bigint NOT NULL,
    subject text NOT NULL DEFAULT '',
    correlation text NOT NULL DEFAULT '',
    causation text NOT NULL DEFAULT '',
    traceparent text NOT NULL DEFAULT '',
    headers jsonb,
    PRIMARY KEY (lane, id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_analyze_scale_factor = 0,
        autovacuum_analyze_threshold = 100000, autovacuum_vacuum_insert_threshold = -1,
        toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 5000);
ALTER TABLE outbox ALTER COLUMN value SET STORAGE EXTERNAL;
ALTER TABLE outbox ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DO $$
BEGIN
    EXECUTE format('CREATE POLICY kit_app ON outbox FOR INSERT TO %I WITH CHECK '
        || '(tenant_id = (SELECT nullif(current_setting(''app.tenant'', true), '''')::uuid))', kit_role('app'));
    EXECUTE format('CREATE POLICY kit_worker ON outbox TO %I USING (true) WITH CHECK (true)', kit_role('worker'));
    CALL kit_grant('outbox', 'app', 'INSERT');
    CALL kit_grant('outbox', 'worker', 'SELECT, INSERT, DELETE');
END $$;

-- How far each consumer group has read, and by which epoch of which partition: the fence against zombies.
CREATE TABLE consumer_offset (
    consumer_group text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    epoch bigint NOT NULL,
    next_offset bigint NOT NULL,
    event_id uuid,
    updated_at timestamptz NOT NULL DEFAULT kit_now(),
    PRIMARY KEY (consumer_group, topic, partition)
) WITH (fillfactor = 30, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
CALL kit_worker_table('consumer_offset');

-- For effects that have no natural key: which consumer has taken which event.
CREATE TABLE inbox (
    consumer text NOT NULL,
    event_id uuid NOT NULL,
    received_at timestamptz NOT NULL DEFAULT kit_now(),
    PRIMARY KEY (consumer, event_id)
);
CREATE INDEX inbox_received_at ON inbox USING brin (received_at);
CALL kit_worker_table('inbox');

-- The stored answers of requests that carried an Idempotency-Key.
CREATE TABLE idempotency (
    tenant_id uuid NOT NULL,
    route text NOT NULL,
    key text NOT NULL,
    body_hash bytea NOT NULL,
    status smallint,
    answer bytea,
    created_at timestamptz NOT NULL DEFAULT kit_now(),
    PRIMARY KEY (tenant_id, route, key)
) WITH (fillfactor = 70);
CREATE INDEX idempotency_created_at ON idempotency USING brin (created_at);
CALL kit_tenant_table('idempotency', worker => true, worker_privileges => 'SELECT, DELETE');

-- The tables that hold tenant data and are not protected as security control 1 asks: each such table has both flags,
-- a policy with WITH CHECK that holds a transaction to its tenant, and no looser one but for the worker.
CREATE FUNCTION kit_unprotected_tables() RETURNS TABLE (name text, reason text)
    LANGUAGE sql STABLE AS $$
    SELECT * FROM (
        SELECT c.relname::text AS name, CASE
            WHEN NOT c.relrowsecurity THEN 'row-level security is not enabled'
            WHEN NOT c.relforcerowsecurity THEN 'row-level security is not forced'
            WHEN NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid
                    AND pg_get_expr(p.polwithcheck, p.polrelid) LIKE '%app.tenant%')
                THEN 'no policy with WITH CHECK on app.tenant'
            WHEN EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid
                    AND NOT EXISTS (SELECT FROM pg_roles r WHERE p.polroles = ARRAY[r.oid] AND r.rolname ~ '_worker$')
                    AND (pg_get_expr(p.polqual, p.polrelid) NOT LIKE '%app.tenant%'
                        OR pg_get_expr(p.polwithcheck, p.polrelid) NOT LIKE '%app.tenant%'))
                THEN 'a policy that is not the worker''s is not held to app.tenant' END AS reason
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
        WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
            AND c.relpersistence <> 't'
            -- A partition is reached through its parent, unless somebody was granted a right on itself.
            AND NOT (c.relispartition AND c.relacl IS NULL)
    ) tables WHERE reason IS NOT NULL ORDER BY name
$$;
