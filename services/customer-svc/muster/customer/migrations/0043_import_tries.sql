ALTER TABLE customer_import
    -- How often in a row a block could not be applied, and when it is tried again.
    ADD COLUMN failures integer NOT NULL DEFAULT 0,
    ADD COLUMN retry_at timestamptz;
-- squawk-ignore ban-drop-constraint
ALTER TABLE customer_import DROP CONSTRAINT customer_import_state;
-- failed: it was given up, and keeps what it needs to go on.
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE customer_import ADD CONSTRAINT customer_import_state CHECK (state IN (
    'uploading', 'waiting', 'reading', 'preview', 'applying', 'failed', 'done', 'refused', 'cancelled'));
