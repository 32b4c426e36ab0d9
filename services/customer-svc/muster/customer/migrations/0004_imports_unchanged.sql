-- How many of those counted in `updated` were known exactly as the file says: their rows changed nobody.
ALTER TABLE customer_import ADD COLUMN unchanged bigint NOT NULL DEFAULT 0;
