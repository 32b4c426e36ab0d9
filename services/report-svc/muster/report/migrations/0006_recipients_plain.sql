-- Compressing what is written once and seldom read took more than half of the time of its INSERT.
ALTER TABLE recipients ALTER COLUMN seqs SET STORAGE EXTERNAL, ALTER COLUMN numbers SET STORAGE EXTERNAL,
    ALTER COLUMN customers SET STORAGE EXTERNAL, ALTER COLUMN texts SET STORAGE EXTERNAL,
    ALTER COLUMN text_index SET STORAGE EXTERNAL;
