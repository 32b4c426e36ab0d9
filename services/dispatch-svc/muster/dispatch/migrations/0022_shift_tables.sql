-- The national tables that the header of a part names (3GPP TS 23.038): what people in Türkiye, Spain and Portugal write
-- is only read rightly with them. 0: the default alphabet.
ALTER TABLE inbound_part ADD COLUMN locking_shift smallint NOT NULL DEFAULT 0;
ALTER TABLE inbound_part ADD COLUMN single_shift smallint NOT NULL DEFAULT 0;
