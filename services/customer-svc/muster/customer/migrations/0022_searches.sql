-- Queries (docs/search.md) that people come back to.
CREATE TABLE saved_search (
    tenant_id uuid NOT NULL,
    name text NOT NULL,
    query text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT kit_now(),
    changed_by text NOT NULL,
    PRIMARY KEY (tenant_id, name)
);
CALL kit_tenant_table('saved_search', worker => true, worker_privileges => 'SELECT');

-- A field that somebody has given a value is known by it, as a text until the business says otherwise: a query may name it.
-- The owner is under row-level security too.
ALTER TABLE customer NO FORCE ROW LEVEL SECURITY;
ALTER TABLE own_field NO FORCE ROW LEVEL SECURITY;
INSERT INTO own_field (tenant_id, key, name, kind, created_by)
SELECT DISTINCT c.tenant_id, k, k, 'text', '' FROM customer c, jsonb_object_keys(c.own_fields) k
WHERE k ~ '^[a-z_][a-z0-9_]{0,63}$'
ON CONFLICT DO NOTHING;
ALTER TABLE customer FORCE ROW LEVEL SECURITY;
ALTER TABLE own_field FORCE ROW LEVEL SECURITY;
