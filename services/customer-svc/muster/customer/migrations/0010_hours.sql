-- At which hours a business texts, by its own clock: minutes after midnight; equal: at any.
ALTER TABLE tenant ADD COLUMN quiet_from_minute smallint NOT NULL DEFAULT 0;
ALTER TABLE tenant ADD COLUMN quiet_to_minute smallint NOT NULL DEFAULT 0;

-- Where a customer is, by the name of a time zone; NULL: as their number says.
ALTER TABLE customer ADD COLUMN time_zone text;

-- When the recipients of a chunk may be texted, in unix seconds: from, until, from, until ...; NULL: at any time.
ALTER TABLE plan_frozen ADD COLUMN allowed bigint[];
-- What the user is told of that.
ALTER TABLE bulk ADD COLUMN hours jsonb;
