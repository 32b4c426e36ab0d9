-- How the senders of businesses stand, as dispatch-svc says it. A name may be that of several.
-- The table has a row for each business and no release had it, so nothing of this takes long or breaks older code.
-- squawk-ignore ban-drop-constraint
ALTER TABLE sender DROP CONSTRAINT sender_pkey;
-- squawk-ignore changing-column-type
ALTER TABLE sender ALTER COLUMN owner_id TYPE uuid USING owner_id::uuid;
-- squawk-ignore adding-serial-primary-key-field, constraint-missing-not-valid
ALTER TABLE sender ADD PRIMARY KEY (owner_id, sender);
ALTER TABLE sender
    ADD COLUMN standing text NOT NULL DEFAULT 'active',
    ADD COLUMN registration text NOT NULL DEFAULT 'unregistered',
    ADD COLUMN reason text NOT NULL DEFAULT '';
UPDATE sender SET standing = 'free' WHERE NOT active;
-- squawk-ignore ban-drop-column
ALTER TABLE sender DROP COLUMN active;
