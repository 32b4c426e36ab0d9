-- Numbers that a business sends its tests to: those of its own people (user_id) and its own ('').
CREATE TABLE test_number (
    tenant_id uuid NOT NULL,
    test_number_id uuid NOT NULL,
    number bigint NOT NULL,
    number_hash bytea NOT NULL,
    name text NOT NULL,
    user_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT kit_now(),
    created_by text NOT NULL,
    PRIMARY KEY (tenant_id, test_number_id),
    UNIQUE (tenant_id, number, user_id)
);
CREATE UNIQUE INDEX test_number_own ON test_number (tenant_id, user_id) WHERE user_id <> '';
CALL kit_tenant_table('test_number', worker => false);

-- A test is no message of a campaign: nobody is left out of a send for having had one.
ALTER TABLE bulk ADD COLUMN test boolean NOT NULL DEFAULT false;

-- squawk-ignore ban-drop-constraint
ALTER TABLE velocity DROP CONSTRAINT velocity_scope_check;
ALTER TABLE velocity ADD CONSTRAINT velocity_scope CHECK (scope IN (1, 2, 3, 4)) NOT VALID;
