-- A name as lists are told apart by it: without case.
-- squawk-ignore prefer-robust-stmts
CREATE FUNCTION customer_list_key(name text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
    RETURN lower(normalize(name, NFC) COLLATE pg_c_utf8);

CREATE TABLE customer_list (
    tenant_id uuid NOT NULL,
    list_id uuid NOT NULL,
    -- A query writes it in quotation marks.
    name text NOT NULL CHECK (name <> '' AND length(name) <= 100 AND name !~ '["“”]'),
    name_key text COLLATE "C" NOT NULL GENERATED ALWAYS AS (customer_list_key(name)) STORED,
    -- upload: those of a file of numbers or keys.
    kind text NOT NULL CHECK (kind IN ('kept', 'upload')),
    created_at timestamptz NOT NULL DEFAULT kit_now(),
    created_by text NOT NULL,
    -- Of its name and of its members.
    changed_at timestamptz NOT NULL DEFAULT kit_now(),
    changed_by text NOT NULL,
    -- Counts each change of its name.
    version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, list_id)
);
CREATE UNIQUE INDEX customer_list_name ON customer_list (tenant_id, name_key);
CALL kit_tenant_table('customer_list', worker => true, worker_privileges => 'SELECT');

-- Nobody who was merged into another customer is a member: the other one is.
CREATE TABLE customer_list_member (
    tenant_id uuid NOT NULL,
    list_id uuid NOT NULL,
    customer_id bigint NOT NULL,
    added_at timestamptz NOT NULL DEFAULT kit_now(),
    PRIMARY KEY (tenant_id, list_id, customer_id),
    FOREIGN KEY (tenant_id, list_id) REFERENCES customer_list ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, customer_id) REFERENCES customer ON DELETE CASCADE
);
CREATE INDEX customer_list_member_customer ON customer_list_member (tenant_id, customer_id);
CALL kit_tenant_table('customer_list_member', worker => true, worker_privileges => 'SELECT');

-- Who is archived stays on a list and is not counted.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX customer_archived ON customer (tenant_id, customer_id) WHERE archived_at IS NOT NULL;

-- A list was a tag until now: each becomes one, and stays a tag. The owner is under row-level security too.
ALTER TABLE customer NO FORCE ROW LEVEL SECURITY;
ALTER TABLE customer_list NO FORCE ROW LEVEL SECURITY;
ALTER TABLE customer_list_member NO FORCE ROW LEVEL SECURITY;
INSERT INTO customer_list (tenant_id, list_id, name, kind, created_by, changed_by)
SELECT tenant_id, gen_random_uuid(), min(name), 'kept', '', ''
FROM (SELECT DISTINCT c.tenant_id, left(translate(t, '"“”', ''''''''), 100) AS name
      FROM customer c, unnest(c.tags) t WHERE c.merged_into IS NULL) n
WHERE name <> '' GROUP BY tenant_id, customer_list_key(name);
INSERT INTO customer_list_member (tenant_id, list_id, customer_id)
SELECT DISTINCT l.tenant_id, l.list_id, c.customer_id
FROM customer c CROSS JOIN unnest(c.tags) t
    JOIN customer_list l ON l.tenant_id = c.tenant_id
        AND l.name_key = customer_list_key(left(translate(t, '"“”', ''''''''), 100))
WHERE c.merged_into IS NULL;
ALTER TABLE customer FORCE ROW LEVEL SECURITY;
ALTER TABLE customer_list FORCE ROW LEVEL SECURITY;
ALTER TABLE customer_list_member FORCE ROW LEVEL SECURITY;
