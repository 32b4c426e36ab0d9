-- What becomes of the credits of messages that the carrier took and a receipt says have failed.
ALTER TABLE tenant ADD COLUMN failed_rule text NOT NULL DEFAULT 'charge';
ALTER TABLE tenant ADD CONSTRAINT tenant_failed_rule CHECK (failed_rule IN ('charge', 'release')) NOT VALID;
