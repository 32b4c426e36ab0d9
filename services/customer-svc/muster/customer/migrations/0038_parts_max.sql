-- Of how many parts a message of the business may be at most.
ALTER TABLE tenant ADD COLUMN parts_max smallint NOT NULL DEFAULT 255;
