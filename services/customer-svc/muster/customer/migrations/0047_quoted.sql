-- Whom a quote has not seen: who came onto a list since, and who fits since a change of theirs.

-- Who was on a list before this was known has been on it for good.
ALTER TABLE customer_list_member ADD COLUMN added_xid xid8 NOT NULL DEFAULT pg_current_xact_id();

-- Whether its audience or what it excludes goes by what customers are like, so that a change of theirs may bring them in.
-- Of those that were given before nobody knows.
-- squawk-ignore adding-field-with-default
ALTER TABLE quote ADD COLUMN chooses boolean NOT NULL DEFAULT true;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX quote_choosing ON quote (tenant_id, expires_at) WHERE chooses;

-- Customers as they were before changes, for as long as a quote may have seen them so.
CREATE TABLE customer_was (
    tenant_id uuid NOT NULL,
    customer_id bigint NOT NULL,
    n bigint GENERATED ALWAYS AS IDENTITY,
    changed_xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    changed_at timestamptz NOT NULL DEFAULT kit_now(),
    customer jsonb NOT NULL,
    PRIMARY KEY (tenant_id, customer_id, n),
    FOREIGN KEY (tenant_id, customer_id) REFERENCES customer ON DELETE CASCADE
);
CREATE INDEX customer_was_changed_at ON customer_was (changed_at);
CALL kit_tenant_table('customer_was', worker => true, app => 'SELECT, INSERT',
                      worker_privileges => 'SELECT, INSERT, UPDATE, DELETE');

-- A business that has no such quote open keeps nothing. One that is given in this very moment may miss a change that is
-- made meanwhile; what it then costs more goes back to the user. A send may be planned up to an hour behind its quote's end.
CREATE FUNCTION customer_keep_was() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    business uuid;
BEGIN
    FOR business IN SELECT DISTINCT tenant_id FROM before LOOP
        IF EXISTS (SELECT FROM quote WHERE tenant_id = business AND chooses AND expires_at > kit_now() - interval '1 hour') THEN
            -- Without what no query asks for.
            INSERT INTO customer_was (tenant_id, customer_id, customer)
            SELECT tenant_id, customer_id, to_jsonb(b) - '{match_key,import_id,consent_how,consent_wording,consent_by,consent_given_by,consent_address}'::text[]
            FROM before b WHERE tenant_id = business ORDER BY customer_id;
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;
CREATE TRIGGER customer_was AFTER UPDATE ON customer REFERENCING OLD TABLE AS before
    FOR EACH STATEMENT EXECUTE FUNCTION customer_keep_was();
