-- Parts whose rest never comes are read as they are after a time, so the coding of their text is kept. Parts that were
-- read stay for some minutes, so that one that the carrier says again is not taken for a new message.
ALTER TABLE inbound_part ADD COLUMN data_coding smallint NOT NULL DEFAULT 0;
ALTER TABLE inbound_part ADD COLUMN joined_at timestamptz;
