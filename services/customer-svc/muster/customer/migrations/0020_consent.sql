-- Every word on consent that was ever said, and what it was said of. The customer's row keeps the last one.

ALTER TABLE customer
    -- Who gave it, where that is not the customer; and from where: an IP address, an e-mail address, a number.
    ADD COLUMN consent_given_by text NOT NULL DEFAULT '',
    ADD COLUMN consent_address text NOT NULL DEFAULT '',
    ADD COLUMN consent_source text NOT NULL DEFAULT 'api'
        CHECK (consent_source IN ('person', 'form', 'reply', 'link', 'complaint', 'upload', 'import', 'api'));

CREATE TABLE consent_version (
    tenant_id uuid NOT NULL,
    customer_id bigint NOT NULL,
    -- From 1 without gaps, for each customer.
    version bigint NOT NULL CHECK (version > 0),
    -- Digits of the E.164 form, and the tenant's hash of it; NULL: said of all of the customer's numbers.
    number bigint,
    number_hash bytea,
    kind text NOT NULL CHECK (kind IN ('express', 'inferred', 'none', 'withdrawn')),
    allow_bulk_sms boolean,
    given_at timestamptz,
    how text NOT NULL,
    wording text NOT NULL,
    given_by text NOT NULL,
    address text NOT NULL,
    -- correction: a withdrawal that was entered by hand was a mistake; the word before it holds again.
    source text NOT NULL CHECK (source IN ('person', 'form', 'reply', 'link', 'complaint', 'upload', 'import', 'api',
                                           'correction')),
    recorded_by text NOT NULL,
    recorded_at timestamptz NOT NULL,
    -- When the withdrawal was given that this word undoes.
    undoes_at timestamptz,
    -- Of this version and the hash of the one before it, so that a version that was changed or taken out shows.
    hash bytea NOT NULL,
    PRIMARY KEY (tenant_id, customer_id, version),
    CHECK ((number IS NULL) = (number_hash IS NULL)),
    CHECK (kind <> 'withdrawn' OR allow_bulk_sms IS NOT TRUE),
    -- Whatever writes here, a withdrawal is undone by nothing but the person's own later word.
    CONSTRAINT withdrawal_stands CHECK (undoes_at IS NULL OR source = 'correction' OR (kind = 'express' AND wording <> ''
        AND source IN ('person', 'form', 'reply', 'link') AND coalesce(given_at > undoes_at, false)))
);
CALL kit_tenant_table('consent_version', worker => true, app => 'SELECT, INSERT', worker_privileges => 'SELECT, INSERT');

CREATE FUNCTION consent_version_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'words on consent are never changed: a later word is a version of its own';
END
$$;
CREATE TRIGGER consent_version_is_final BEFORE UPDATE OR DELETE OR TRUNCATE ON consent_version
    FOR EACH STATEMENT EXECUTE FUNCTION consent_version_is_final();

-- The last word on one number of a customer, where there is one since the last word on all of them.
CREATE TABLE number_consent (
    tenant_id uuid NOT NULL,
    customer_id bigint NOT NULL,
    number_hash bytea NOT NULL,
    kind text NOT NULL CHECK (kind IN ('express', 'inferred', 'none', 'withdrawn')),
    given_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, customer_id, number_hash),
    FOREIGN KEY (tenant_id, customer_id) REFERENCES customer ON DELETE CASCADE
);
CALL kit_tenant_table('number_consent', worker => true);

-- Both are no more than their expressions (inlined): STABLE as what they are made of.
CREATE FUNCTION consent_microseconds(at timestamptz) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (extract(epoch FROM at) * 1000000)::bigint::text;

-- The same as domain/consent.py: the hash before, and the members as a JSON array of texts.
CREATE FUNCTION consent_hash(before bytea, tenant uuid, customer bigint, version bigint, number bigint, kind text,
    allow boolean, given_at timestamptz, how text, wording text, given_by text, address text, source text,
    recorded_by text, recorded_at timestamptz) RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE
    RETURN sha256(before || convert_to(jsonb_build_array(tenant::text, customer::text, version::text, number::text,
        kind, allow::text, consent_microseconds(given_at), how, wording, given_by, address, source, recorded_by,
        consent_microseconds(recorded_at))::text, 'UTF8'));

CREATE FUNCTION consent_version_follows() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last record;
BEGIN
    SELECT version, hash INTO last FROM consent_version c
    WHERE c.tenant_id = NEW.tenant_id AND c.customer_id = NEW.customer_id ORDER BY version DESC LIMIT 1;
    NEW.version := coalesce(last.version, 0) + 1;
    NEW.hash := consent_hash(coalesce(last.hash, ''), NEW.tenant_id, NEW.customer_id, NEW.version, NEW.number, NEW.kind,
        NEW.allow_bulk_sms, NEW.given_at, NEW.how, NEW.wording, NEW.given_by, NEW.address, NEW.source, NEW.recorded_by,
        NEW.recorded_at);
    RETURN NEW;
END
$$;
-- Who writes says neither version nor hash, but where a customer is new: a million of them come at once. Writers hold
-- the row of the customer.
CREATE TRIGGER consent_version_follows BEFORE INSERT ON consent_version
    FOR EACH ROW WHEN (NEW.hash = '') EXECUTE FUNCTION consent_version_follows();

-- No way of writing a customer can leave out the history: the table itself keeps it.
CREATE FUNCTION customer_said_consent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO consent_version (tenant_id, customer_id, version, kind, allow_bulk_sms, given_at, how, wording, given_by,
                                 address, source, recorded_by, recorded_at, hash)
    SELECT tenant_id, customer_id, 1, consent, allow_bulk_sms, consent_at, consent_how, consent_wording,
        consent_given_by, consent_address, consent_source, consent_by, now,
        consent_hash('', tenant_id, customer_id, 1, NULL, consent, allow_bulk_sms, consent_at, consent_how,
            consent_wording, consent_given_by, consent_address, consent_source, consent_by, now)
    FROM written CROSS JOIN (SELECT kit_now() AS now) clock WHERE consent <> 'none' OR consent_at IS NOT NULL;
    RETURN NULL;
END
$$;
CREATE TRIGGER customer_said_consent AFTER INSERT ON customer REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION customer_said_consent();

CREATE FUNCTION customer_changed_consent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    WITH said AS (
        INSERT INTO consent_version (tenant_id, customer_id, version, kind, allow_bulk_sms, given_at, how, wording,
                                     given_by, address, source, recorded_by, recorded_at, undoes_at, hash)
        SELECT n.tenant_id, n.customer_id, 1, n.consent, n.allow_bulk_sms, n.consent_at, n.consent_how,
            n.consent_wording, n.consent_given_by, n.consent_address, n.consent_source, n.consent_by, kit_now(),
            CASE WHEN o.consent = 'withdrawn' AND n.consent <> 'withdrawn'
                 THEN coalesce(o.consent_at, '-infinity') END, ''
        FROM written n JOIN before o USING (tenant_id, customer_id)
        WHERE (n.consent, n.consent_how, n.consent_wording, n.consent_by, n.consent_given_by, n.consent_address,
               n.consent_source) <> (o.consent, o.consent_how, o.consent_wording, o.consent_by, o.consent_given_by,
               o.consent_address, o.consent_source)
            OR n.allow_bulk_sms IS DISTINCT FROM o.allow_bulk_sms OR n.consent_at IS DISTINCT FROM o.consent_at
        ORDER BY n.tenant_id, n.customer_id
        RETURNING tenant_id, customer_id, kind, source, wording, given_at
    )
    -- A word on all numbers takes the place of words on one; of a withdrawal only where it could undo it.
    DELETE FROM number_consent c USING said s
    WHERE c.tenant_id = s.tenant_id AND c.customer_id = s.customer_id
        AND (c.kind <> 'withdrawn' OR s.kind = 'withdrawn' OR (s.kind = 'express' AND s.wording <> ''
             AND s.source IN ('person', 'form', 'reply', 'link') AND s.given_at > c.given_at));
    RETURN NULL;
END
$$;
CREATE TRIGGER customer_changed_consent AFTER UPDATE ON customer
    REFERENCING OLD TABLE AS before NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION customer_changed_consent();

-- What was known before there was a history begins it. The owner sees rows only while it is not held to a tenant.
ALTER TABLE customer NO FORCE ROW LEVEL SECURITY;
ALTER TABLE consent_version NO FORCE ROW LEVEL SECURITY;
UPDATE customer SET consent_source = 'import' WHERE consent_how = 'import';
INSERT INTO consent_version (tenant_id, customer_id, version, kind, allow_bulk_sms, given_at, how, wording, given_by,
                             address, source, recorded_by, recorded_at, hash)
SELECT tenant_id, customer_id, 1, consent, allow_bulk_sms, consent_at, consent_how, consent_wording, '', '',
    consent_source, consent_by, changed_at, ''
FROM customer c WHERE (consent <> 'none' OR consent_at IS NOT NULL)
    AND NOT EXISTS (SELECT FROM consent_version v WHERE v.tenant_id = c.tenant_id AND v.customer_id = c.customer_id)
ORDER BY tenant_id, customer_id;
ALTER TABLE consent_version FORCE ROW LEVEL SECURITY;
ALTER TABLE customer FORCE ROW LEVEL SECURITY;

-- Evidence of what was said of a number: in which words, when, from where. form and correction: by whom it was lifted.
ALTER TABLE suppression_version
    ADD COLUMN wording text NOT NULL DEFAULT '',
    ADD COLUMN given_at timestamptz,
    ADD COLUMN address text NOT NULL DEFAULT '';
-- squawk-ignore ban-drop-constraint
ALTER TABLE suppression_version DROP CONSTRAINT suppression_version_source_check;
-- Of one row for each word on a number; this takes a moment.
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE suppression_version ADD CONSTRAINT suppression_version_source_check
    CHECK (source IN ('reply', 'person', 'form', 'link', 'complaint', 'upload', 'correction'));
