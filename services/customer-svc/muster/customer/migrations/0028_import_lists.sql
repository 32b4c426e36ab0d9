-- The list that a file has filled, and how many customers came onto it.
ALTER TABLE customer_import
    ADD COLUMN list_id uuid,
    ADD COLUMN listed bigint NOT NULL DEFAULT 0;
