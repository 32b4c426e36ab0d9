-- Who was merged into a customer who was removed since: their words on consent, and the sends that they were in, are
-- still of the one person, who may ask for all of it to be erased.
CREATE TABLE merged_customer (
    tenant_id uuid NOT NULL,
    customer_id bigint NOT NULL,
    merged_into bigint NOT NULL,
    PRIMARY KEY (tenant_id, customer_id)
);
CREATE INDEX merged_customer_into ON merged_customer (tenant_id, merged_into);
CALL kit_tenant_table('merged_customer', app => 'SELECT, INSERT');
