-- Since when a tenant's history is clean; those of before there was such a history have a long one.
ALTER TABLE tenant ADD COLUMN clean_since timestamptz NOT NULL DEFAULT '2000-01-01 00:00+00';
ALTER TABLE tenant ALTER COLUMN clean_since SET DEFAULT kit_now();

-- What an operator has set for a tenant: NULL as for all, 0 no limit.
CREATE TABLE tenant_limit (
    tenant_id uuid PRIMARY KEY,
    range_hourly integer CHECK (range_hourly >= 0),
    prefix_hourly integer CHECK (prefix_hourly >= 0),
    plan_range integer CHECK (plan_range >= 0),
    daily integer CHECK (daily >= 0),
    reason text NOT NULL,
    user_id text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT kit_now()
);
CALL kit_tenant_table('tenant_limit', worker => true, app => 'SELECT, INSERT, UPDATE', worker_privileges => 'SELECT');

-- How much was sent since a moment: of an hour by range and prefix (scope 1 and 2, digits), of a day (scope 3).
CREATE TABLE velocity (
    tenant_id uuid NOT NULL,
    since timestamptz NOT NULL,
    scope smallint NOT NULL CHECK (scope IN (1, 2, 3)),
    digits bigint NOT NULL,
    messages integer NOT NULL CHECK (messages >= 0),
    PRIMARY KEY (tenant_id, since, scope, digits)
) WITH (fillfactor = 50);
CALL kit_tenant_table('velocity', worker => true, app => 'SELECT, INSERT, UPDATE');
