-- Whom a transaction has changed, so that only they are judged again (store/audience_counts.py): a customer, or whoever has
-- a number. customer_id 0 and no number: too many to be named, or what anybody may be judged by; -1: what sends came to,
-- which is asked by those alone who leave out whoever was messaged lately.
--
-- Rows are of the last hour. Of those that are here it is not known whom they were about.
-- squawk-ignore adding-field-with-default, prefer-robust-stmts
ALTER TABLE audience_change ADD COLUMN customer_id bigint NOT NULL DEFAULT 0, ADD COLUMN number_hash bytea NOT NULL DEFAULT '';
-- squawk-ignore ban-drop-constraint, prefer-robust-stmts
ALTER TABLE audience_change DROP CONSTRAINT audience_change_pkey;
-- squawk-ignore adding-serial-primary-key-field, constraint-missing-not-valid, prefer-robust-stmts
ALTER TABLE audience_change ADD PRIMARY KEY (tenant_id, xid, customer_id, number_hash);

-- Whose number it is is asked by whoever reads the note: a customer who gets it by a transaction that is under way now is
-- seen by neither of the two.
DO $$
DECLARE
    body text := '
DECLARE
    many boolean;
BEGIN
    IF (SELECT relowner = current_user::regrole FROM pg_class WHERE oid = TG_RELID) THEN
        RETURN NULL;
    END IF;
    SELECT count(*) > 100 INTO many FROM (SELECT FROM touched LIMIT 101) t;
    IF many THEN
        INSERT INTO audience_change (tenant_id, xid)
        SELECT DISTINCT tenant_id, pg_current_xact_id() FROM touched
        ON CONFLICT DO NOTHING;
    ELSIF TG_OP = ''UPDATE'' THEN
        INSERT INTO audience_change (tenant_id, xid, %1$I)
        SELECT tenant_id, pg_current_xact_id(), %1$I FROM touched
        UNION SELECT tenant_id, pg_current_xact_id(), %1$I FROM before
        ON CONFLICT DO NOTHING;
    ELSE
        INSERT INTO audience_change (tenant_id, xid, %1$I)
        SELECT DISTINCT tenant_id, pg_current_xact_id(), %1$I FROM touched
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END';
BEGIN
    EXECUTE format('CREATE FUNCTION audience_changed_customers() RETURNS trigger LANGUAGE plpgsql AS %L',
                   format(body, 'customer_id'));
    EXECUTE format('CREATE FUNCTION audience_changed_numbers() RETURNS trigger LANGUAGE plpgsql AS %L',
                   format(body, 'number_hash'));
END $$;

-- A list is looked for by its name; that its members changed is told by them.
-- squawk-ignore prefer-robust-stmts
CREATE FUNCTION audience_changed_lists() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT relowner <> current_user::regrole FROM pg_class WHERE oid = TG_RELID) THEN
        INSERT INTO audience_change (tenant_id, xid)
        SELECT DISTINCT tenant_id, pg_current_xact_id()
        FROM (SELECT tenant_id, list_id, name_key FROM touched EXCEPT SELECT tenant_id, list_id, name_key FROM before) t
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END
$$;

-- squawk-ignore prefer-robust-stmts
CREATE FUNCTION audience_changed_sends() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT relowner <> current_user::regrole FROM pg_class WHERE oid = TG_RELID) THEN
        INSERT INTO audience_change (tenant_id, xid, customer_id)
        SELECT DISTINCT tenant_id, pg_current_xact_id(), -1 FROM touched
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END
$$;

DO $$
DECLARE
    kind text;
    name text;
BEGIN
    FOR name, kind IN
        SELECT * FROM (VALUES
            ('customer', 'customers'), ('customer_number', 'customers'), ('customer_other_number', 'customers'),
            ('customer_list_member', 'customers'), ('number_consent', 'customers'),
            ('suppression', 'numbers'), ('number_failure', 'numbers'),
            ('not_received', 'sends'), ('plan_frozen', 'sends')) AS v (name, kind)
    LOOP
        EXECUTE format('DROP TRIGGER IF EXISTS audience_changed_insert ON %I', name);
        EXECUTE format('DROP TRIGGER IF EXISTS audience_changed_update ON %I', name);
        EXECUTE format('DROP TRIGGER IF EXISTS audience_changed_delete ON %I', name);
        -- Of whom a send was frozen for is asked by the send's id, which nobody knows before.
        IF name <> 'plan_frozen' THEN
            EXECUTE format('CREATE TRIGGER audience_changed_insert AFTER INSERT ON %I REFERENCING NEW TABLE AS touched '
                           'FOR EACH STATEMENT EXECUTE FUNCTION audience_changed_%s()', name, kind);
        END IF;
        EXECUTE format('CREATE TRIGGER audience_changed_update AFTER UPDATE ON %I REFERENCING OLD TABLE AS before '
                       'NEW TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION audience_changed_%s()', name, kind);
        EXECUTE format('CREATE TRIGGER audience_changed_delete AFTER DELETE ON %I REFERENCING OLD TABLE AS touched '
                       'FOR EACH STATEMENT EXECUTE FUNCTION audience_changed_%s()', name, kind);
    END LOOP;
    DROP TRIGGER audience_changed_update ON customer_list;
    CREATE TRIGGER audience_changed_update AFTER UPDATE ON customer_list REFERENCING OLD TABLE AS before
        NEW TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION audience_changed_lists();
END $$;
