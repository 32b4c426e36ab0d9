-- A sandbox is told by its id: credits go from sandbox to sandbox, or between others.
CREATE FUNCTION is_sandbox(tenant uuid) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT coalesce(uuid_extract_version(tenant) = 8, false) $$;
ALTER TABLE transfer ADD CONSTRAINT transfer_within_its_kind
    CHECK (is_sandbox(from_tenant) = is_sandbox(to_tenant)) NOT VALID;
