-- The register of senders: whose each is, how it stands, and whether it is registered where that is asked for. A name may
-- be that of several businesses; a number is one's at a time, which the index holds.
-- standing: active; leased (given up, replies still reach who had it); quarantined (nobody has it yet); free; withheld
-- (chosen by a business that does not have it). until: when a lease or a quarantine ends. by_operator: an operator had
-- the last word on it, and settings change it no more.
--
-- The table has a row for each business and no release had it, so nothing of this takes long or breaks older code.
-- squawk-ignore ban-drop-constraint
ALTER TABLE sender_number DROP CONSTRAINT sender_number_pkey;
-- squawk-ignore adding-serial-primary-key-field, constraint-missing-not-valid
ALTER TABLE sender_number ADD PRIMARY KEY (owner_tenant_id, sender);
ALTER TABLE sender_number
    ADD COLUMN standing text NOT NULL DEFAULT 'active',
    ADD COLUMN registration text NOT NULL DEFAULT 'unregistered',
    ADD COLUMN reference text NOT NULL DEFAULT '',
    ADD COLUMN reason text NOT NULL DEFAULT '',
    ADD COLUMN by_operator boolean NOT NULL DEFAULT false,
    ADD COLUMN until timestamptz,
    -- squawk-ignore adding-field-with-default
    ADD COLUMN changed_at timestamptz NOT NULL DEFAULT kit_now();
UPDATE sender_number SET standing = 'leased', until = kit_now() + interval '30 days', version = version + 1
WHERE NOT active;
-- squawk-ignore ban-drop-column
ALTER TABLE sender_number DROP COLUMN active;
-- Who goes by a number that is another's has a row now that says so; a name is theirs now.
INSERT INTO sender_number (owner_tenant_id, sender, version, receives_replies, standing, reason)
SELECT t.tenant_id, ltrim(t.sender, '+'), 1, false,
    CASE WHEN t.sender ~ '^\+?[0-9]+$' THEN 'withheld' ELSE 'active' END,
    CASE WHEN t.sender ~ '^\+?[0-9]+$' THEN 'It is another business''s.' ELSE '' END
FROM tenant t WHERE t.sender <> '' AND NOT is_sandbox(t.tenant_id) ORDER BY 1, 2 ON CONFLICT DO NOTHING;
ALTER TABLE sender_number
    ADD CONSTRAINT sender_standing CHECK (standing IN ('active', 'leased', 'quarantined', 'free', 'withheld')) NOT VALID,
    ADD CONSTRAINT sender_registration CHECK (registration IN ('unregistered', 'pending', 'registered', 'rejected'))
        NOT VALID,
    ADD CONSTRAINT sender_until CHECK ((until IS NOT NULL) = (standing IN ('leased', 'quarantined'))) NOT VALID;
-- One row for each sender there is, so this takes a moment.
-- squawk-ignore require-concurrent-index-creation
CREATE UNIQUE INDEX sender_number_has_one ON sender_number (sender)
WHERE sender ~ '^[0-9]+$' AND standing IN ('active', 'leased', 'quarantined');
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX sender_number_until ON sender_number (until) WHERE until IS NOT NULL;
CALL kit_grant('sender_number', 'app', 'INSERT, UPDATE');
