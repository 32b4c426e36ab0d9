-- A sandbox is told by its id. Its credits never mix with others': no reseller has both kinds.
CREATE FUNCTION is_sandbox(tenant uuid) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT coalesce(uuid_extract_version(tenant) = 8, false) $$;
ALTER TABLE tenant ADD CONSTRAINT tenant_parent_of_its_kind
    CHECK (parent_id IS NULL OR is_sandbox(parent_id) = is_sandbox(tenant_id)) NOT VALID;
