-- Erasing a person: the request, what of it every service has confirmed, and a history of consent that can lose a person
-- and still be checked.

CREATE TABLE erasure (
    tenant_id uuid NOT NULL,
    erasure_id uuid NOT NULL,
    -- Of the customer, and of those who were merged into them.
    customer_ids bigint[] NOT NULL,
    -- No words of anybody's: they might name the person.
    ground text NOT NULL CHECK (ground IN ('asked', 'consent_withdrawn', 'no_longer_needed', 'objected', 'unlawful',
                                           'legal_duty')),
    asked_at timestamptz NOT NULL DEFAULT kit_now(),
    asked_by text NOT NULL,
    deadline_at timestamptz NOT NULL,
    -- Numbers and names by which rows that have no id are found here; NULL once they are gone.
    traces jsonb,
    swept_at timestamptz,
    -- Every service has confirmed every number.
    done_at timestamptz,
    PRIMARY KEY (tenant_id, erasure_id),
    CHECK ((swept_at IS NULL) = (traces IS NOT NULL)),
    CHECK (done_at IS NULL OR swept_at IS NOT NULL)
);
CREATE INDEX erasure_of_customer ON erasure USING gin (customer_ids);
CREATE INDEX erasure_open ON erasure (asked_at) WHERE done_at IS NULL;
CALL kit_tenant_table('erasure', worker => true, app => 'SELECT, INSERT, UPDATE', worker_privileges => 'SELECT, UPDATE');

-- The numbers of an erasure, as they were said.
CREATE TABLE erasure_number (
    tenant_id uuid NOT NULL,
    erasure_id uuid NOT NULL,
    number_hash bytea NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (tenant_id, erasure_id, number_hash),
    FOREIGN KEY (tenant_id, erasure_id) REFERENCES erasure
);
CREATE INDEX erasure_number_hash ON erasure_number (tenant_id, number_hash);
CALL kit_tenant_table('erasure_number', worker => true, app => 'SELECT, INSERT', worker_privileges => 'SELECT');

-- Which version of a number's erasure a service has confirmed.
CREATE TABLE erasure_confirmed (
    tenant_id uuid NOT NULL,
    number_hash bytea NOT NULL,
    service text NOT NULL,
    version bigint NOT NULL,
    confirmed_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, number_hash, service)
);
CALL kit_tenant_table('erasure_confirmed', worker => true, app => 'SELECT',
                      worker_privileges => 'SELECT, INSERT, UPDATE');

-- This service says who is erased, so it remembers them in the request's own transaction.
CALL kit_grant('erased_number', 'app', 'INSERT, UPDATE');

-- The chain of words on consent is over a hash of what is personal in each, salted by what goes with it: without both
-- nobody can find a number by trying them all, and the chain is as whole as before.
ALTER TABLE consent_version
    ADD COLUMN salt bytea CHECK (octet_length(salt) = 16),
    ADD COLUMN personal_hash bytea NOT NULL DEFAULT '';
-- squawk-ignore ban-drop-constraint
ALTER TABLE consent_version DROP CONSTRAINT consent_version_check;
-- squawk-ignore ban-drop-constraint
ALTER TABLE consent_version DROP CONSTRAINT withdrawal_stands;
ALTER TABLE consent_version
    ADD CONSTRAINT consent_version_number CHECK (number IS NULL OR number_hash IS NOT NULL) NOT VALID,
    ADD CONSTRAINT withdrawal_stands CHECK (undoes_at IS NULL OR source = 'correction' OR (kind = 'express'
        AND (wording <> '' OR salt IS NULL) AND source IN ('person', 'form', 'reply', 'link')
        AND coalesce(given_at > undoes_at, false))) NOT VALID;

-- The same as domain/consent.py.
CREATE FUNCTION consent_personal_hash(salt bytea, number bigint, how text, wording text, given_by text, address text)
    RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE
    RETURN sha256(salt || convert_to(json_build_array(number::text, how, wording, given_by, address)::text, 'UTF8'));
-- Triggers alone call it.
-- squawk-ignore ban-drop-function
DROP FUNCTION consent_hash;
CREATE FUNCTION consent_hash(before bytea, tenant uuid, customer bigint, version bigint, kind text, allow boolean,
    given_at timestamptz, source text, recorded_by text, recorded_at timestamptz, personal_hash bytea)
    RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE
    RETURN sha256(before || convert_to(json_build_array(tenant::text, customer::text, version::text, kind, allow::text,
        consent_microseconds(given_at), source, recorded_by, consent_microseconds(recorded_at),
        encode(personal_hash, 'hex'))::text, 'UTF8'));

CREATE OR REPLACE FUNCTION consent_version_follows() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last record;
BEGIN
    SELECT version, hash INTO last FROM consent_version c
    WHERE c.tenant_id = NEW.tenant_id AND c.customer_id = NEW.customer_id ORDER BY version DESC LIMIT 1;
    NEW.version := coalesce(last.version, 0) + 1;
    NEW.salt := uuid_send(gen_random_uuid());
    NEW.personal_hash := consent_personal_hash(NEW.salt, NEW.number, NEW.how, NEW.wording, NEW.given_by, NEW.address);
    NEW.hash := consent_hash(coalesce(last.hash, ''), NEW.tenant_id, NEW.customer_id, NEW.version, NEW.kind,
        NEW.allow_bulk_sms, NEW.given_at, NEW.source, NEW.recorded_by, NEW.recorded_at, NEW.personal_hash);
    RETURN NEW;
END
$$;

-- Salts and hashes are made in subqueries of their own (OFFSET 0): each once for a row.
CREATE OR REPLACE FUNCTION customer_said_consent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO consent_version (tenant_id, customer_id, version, kind, allow_bulk_sms, given_at, how, wording, given_by,
                                 address, source, recorded_by, recorded_at, salt, personal_hash, hash)
    SELECT tenant_id, customer_id, 1, consent, allow_bulk_sms, consent_at, consent_how, consent_wording,
        consent_given_by, consent_address, consent_source, consent_by, now, salt, personal_hash,
        consent_hash('', tenant_id, customer_id, 1, consent, allow_bulk_sms, consent_at, consent_source, consent_by, now,
            personal_hash)
    FROM (
        SELECT *, consent_personal_hash(salt, NULL, consent_how, consent_wording, consent_given_by, consent_address)
            AS personal_hash
        FROM (SELECT *, uuid_send(gen_random_uuid()) AS salt FROM written
              WHERE consent <> 'none' OR consent_at IS NOT NULL OFFSET 0) salted OFFSET 0
    ) hashed CROSS JOIN (SELECT kit_now() AS now) clock;
    RETURN NULL;
END
$$;

-- A word may lose what is personal in it, all of it at once, and nothing else about it ever changes.
DROP TRIGGER consent_version_is_final ON consent_version;
CREATE OR REPLACE FUNCTION consent_version_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    personal CONSTANT text[] := '{number,how,wording,given_by,address,salt}';
BEGIN
    IF TG_OP = 'UPDATE' AND to_jsonb(NEW) - personal = to_jsonb(OLD) - personal AND NEW.salt IS NULL
        AND NEW.number IS NULL AND NEW.how || NEW.wording || NEW.given_by || NEW.address = '' THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'words on consent are never changed: a later word is a version of its own';
END
$$;

-- The chains that are there are made anew. The owner sees rows only while it is not held to a tenant.
ALTER TABLE consent_version NO FORCE ROW LEVEL SECURITY;
DO $$
DECLARE
    one record;
    before bytea;
    whose record;
BEGIN
    UPDATE consent_version SET salt = uuid_send(gen_random_uuid()) WHERE tenant_id IS NOT NULL;
    UPDATE consent_version SET personal_hash = consent_personal_hash(salt, number, how, wording, given_by, address)
    WHERE tenant_id IS NOT NULL;
    FOR one IN SELECT * FROM consent_version ORDER BY tenant_id, customer_id, version LOOP
        IF one.version = 1 THEN
            before := '';
        END IF;
        before := consent_hash(before, one.tenant_id, one.customer_id, one.version, one.kind, one.allow_bulk_sms,
            one.given_at, one.source, one.recorded_by, one.recorded_at, one.personal_hash);
        UPDATE consent_version SET hash = before
        WHERE tenant_id = one.tenant_id AND customer_id = one.customer_id AND version = one.version;
    END LOOP;
END
$$;
ALTER TABLE consent_version FORCE ROW LEVEL SECURITY;
CREATE TRIGGER consent_version_is_final BEFORE UPDATE OR DELETE ON consent_version
    FOR EACH ROW EXECUTE FUNCTION consent_version_is_final();
CREATE TRIGGER consent_version_is_not_emptied BEFORE TRUNCATE ON consent_version
    FOR EACH STATEMENT EXECUTE FUNCTION consent_version_is_final();
CALL kit_grant('consent_version', 'app', 'UPDATE (number, how, wording, given_by, address, salt)');

-- What a number's suppression came from may lose its words, and nothing else about it ever changes.
CREATE FUNCTION suppression_version_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    personal CONSTANT text[] := '{reason,wording,address}';
BEGIN
    IF TG_OP = 'UPDATE' AND to_jsonb(NEW) - personal = to_jsonb(OLD) - personal
        AND NEW.reason || NEW.wording || NEW.address = '' THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'versions of suppressions are never changed: a later one is a version of its own';
END
$$;
CREATE TRIGGER suppression_version_is_final BEFORE UPDATE OR DELETE ON suppression_version
    FOR EACH ROW EXECUTE FUNCTION suppression_version_is_final();
CALL kit_grant('suppression_version', 'app', 'UPDATE (reason, wording, address)');
