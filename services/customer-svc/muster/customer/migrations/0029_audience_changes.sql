-- Which transactions have changed something that an audience is counted by. A count that was made before all of them is
-- counted anew; one that has seen them all is still exact (store/audience_counts.py).
CREATE TABLE audience_change (
    tenant_id uuid NOT NULL,
    xid xid8 NOT NULL,
    PRIMARY KEY (tenant_id, xid)
);
CALL kit_tenant_table('audience_change', worker => true, app => 'SELECT, INSERT',
                      worker_privileges => 'SELECT, INSERT, DELETE');

-- A row for each transaction and tenant, of its own: writers never wait for each other here. What the owner does is what
-- foreign keys do in turn, which is noted by the statement that they follow (the tables above these are among them); and
-- migrations, after which processes start anew.
CREATE FUNCTION audience_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT relowner <> current_user::regrole FROM pg_class WHERE oid = TG_RELID) THEN
        INSERT INTO audience_change (tenant_id, xid)
        SELECT DISTINCT tenant_id, pg_current_xact_id() FROM touched
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END
$$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['customer', 'customer_number', 'customer_list', 'customer_list_member', 'suppression',
                                'number_consent', 'number_failure', 'not_received', 'plan_frozen'] LOOP
        -- Of whom a send was frozen for is asked by the send's id, which nobody knows before.
        IF name <> 'plan_frozen' THEN
            EXECUTE format('CREATE TRIGGER audience_changed_insert AFTER INSERT ON %I REFERENCING NEW TABLE AS touched '
                           'FOR EACH STATEMENT EXECUTE FUNCTION audience_changed()', name);
        END IF;
        EXECUTE format('CREATE TRIGGER audience_changed_update AFTER UPDATE ON %I REFERENCING NEW TABLE AS touched '
                       'FOR EACH STATEMENT EXECUTE FUNCTION audience_changed()', name);
        EXECUTE format('CREATE TRIGGER audience_changed_delete AFTER DELETE ON %I REFERENCING OLD TABLE AS touched '
                       'FOR EACH STATEMENT EXECUTE FUNCTION audience_changed()', name);
    END LOOP;
END $$;
