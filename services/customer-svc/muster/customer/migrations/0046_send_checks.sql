-- What was checked of a send by the laws of its recipients' countries before it was confirmed, and by whom it was: signed,
-- and never changed. Nobody's name or number is in it, so that it stays when a person is erased.
CREATE TABLE send_checks (
    tenant_id uuid NOT NULL,
    bulk_id uuid NOT NULL,
    signed jsonb NOT NULL,
    signature bytea NOT NULL CHECK (length(signature) = 64),
    PRIMARY KEY (tenant_id, bulk_id)
);
CALL kit_tenant_table('send_checks', app => 'SELECT, INSERT');
