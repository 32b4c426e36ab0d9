-- A sandbox is told by its id, so nothing of it can be put on an account that reaches anybody, whatever says so, and
-- nobody else's message on its account.
CREATE FUNCTION is_sandbox(tenant uuid) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT coalesce(uuid_extract_version(tenant) = 8, false) $$;
ALTER TABLE chunk ADD CONSTRAINT chunk_sandbox_apart CHECK ((account = 'sandbox') = is_sandbox(tenant_id)) NOT VALID;
ALTER TABLE attempt ADD CONSTRAINT attempt_sandbox_apart CHECK ((account = 'sandbox') = is_sandbox(tenant_id)) NOT VALID;
-- A sender's number is a real one's: what a sandbox has for a sender is its own word for it.
ALTER TABLE sender_number ADD CONSTRAINT sender_of_no_sandbox CHECK (NOT is_sandbox(owner_tenant_id)) NOT VALID;
ALTER TABLE route ADD CONSTRAINT route_to_no_sandbox CHECK (account <> 'sandbox') NOT VALID;
-- Asked every other second; one row for each tenant, so this takes a moment.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX tenant_sandbox ON tenant (tenant_id) WHERE is_sandbox(tenant_id);
-- No carrier is called so.
ALTER TABLE carrier ADD CONSTRAINT carrier_is_no_sandbox CHECK (account <> 'sandbox') NOT VALID;
