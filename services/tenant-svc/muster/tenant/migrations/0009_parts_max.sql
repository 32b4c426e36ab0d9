-- Of how many parts a message may be at most; 255 is what the network allows.
ALTER TABLE tenant ADD COLUMN parts_max smallint NOT NULL DEFAULT 255;
