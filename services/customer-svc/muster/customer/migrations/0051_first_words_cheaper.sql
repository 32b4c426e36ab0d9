-- A million customers are a million first words on consent. The same hash of the same bytes, for half the work: an array
-- of JSON looks up the type of each of its members for each row, and each salt was asked of the system on its own.

-- Of texts, for whoever has some of them already. kind and source have a CHECK of their own and digits, UUIDs and hex
-- need no escape: what somebody wrote is recorded_by alone.
-- squawk-ignore prefer-robust-stmts
CREATE FUNCTION consent_hash_of(before bytea, tenant text, customer text, version text, kind text, allow text,
    given_at text, source text, recorded_by text, recorded_at text, personal_hash bytea)
    RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE
    RETURN sha256(before || convert_to('["' || tenant || '", "' || customer || '", "' || version || '", "' || kind || '", '
        || coalesce('"' || allow || '"', 'null') || ', ' || coalesce('"' || given_at || '"', 'null') || ', "' || source
        || '", ' || to_json(recorded_by)::text || ', "' || recorded_at || '", "' || encode(personal_hash, 'hex') || '"]',
        'UTF8'));
CREATE OR REPLACE FUNCTION consent_hash(before bytea, tenant uuid, customer bigint, version bigint, kind text, allow boolean,
    given_at timestamptz, source text, recorded_by text, recorded_at timestamptz, personal_hash bytea)
    RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE
    RETURN consent_hash_of(before, tenant::text, customer::text, version::text, kind, allow::text,
        consent_microseconds(given_at), source, recorded_by, consent_microseconds(recorded_at), personal_hash);

-- Salts and hashes are made in subqueries of their own (OFFSET 0): each once for a row. Salts are of a secret that nobody
-- keeps: who has one of them knows as little of the others as if each were drawn on its own.
CREATE OR REPLACE FUNCTION customer_said_consent() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    now CONSTANT timestamptz := kit_now();
    at CONSTANT text := consent_microseconds(now);
    secret CONSTANT bytea := uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());
BEGIN
    INSERT INTO consent_version (tenant_id, customer_id, version, kind, allow_bulk_sms, given_at, how, wording, given_by,
                                 address, source, recorded_by, recorded_at, salt, personal_hash, hash)
    SELECT tenant_id, customer_id, 1, consent, allow_bulk_sms, consent_at, consent_how, consent_wording,
        consent_given_by, consent_address, consent_source, consent_by, now, salt, personal_hash,
        consent_hash_of('', tenant_id::text, customer_id::text, '1', consent, allow_bulk_sms::text,
            CASE consent_at WHEN now THEN at ELSE consent_microseconds(consent_at) END, consent_source, consent_by, at,
            personal_hash)
    FROM (
        SELECT *, consent_personal_hash(salt, NULL, consent_how, consent_wording, consent_given_by, consent_address)
            AS personal_hash
        FROM (SELECT *, substring(sha256(secret || int8send(customer_id)) FOR 16) AS salt FROM written
              WHERE consent <> 'none' OR consent_at IS NOT NULL OFFSET 0) salted OFFSET 0
    ) hashed;
    RETURN NULL;
END
$$;
