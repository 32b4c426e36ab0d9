-- BulkSmsPaced: how a send goes on, by its highest version.
ALTER TABLE bulk ADD COLUMN paced_version bigint NOT NULL DEFAULT 0;
ALTER TABLE bulk ADD COLUMN paced_control integer NOT NULL DEFAULT 0;
ALTER TABLE bulk ADD COLUMN paced_at timestamptz;
ALTER TABLE bulk ADD COLUMN paced_why text NOT NULL DEFAULT '';
ALTER TABLE bulk ADD COLUMN parts_left bigint NOT NULL DEFAULT 0;
ALTER TABLE bulk ADD COLUMN parts_per_second double precision NOT NULL DEFAULT 0;
ALTER TABLE bulk ADD COLUMN finish_at timestamptz;
ALTER TABLE bulk ADD COLUMN promised_at timestamptz;
ALTER TABLE bulk ADD COLUMN promised_finish_at timestamptz;
ALTER TABLE bulk ADD COLUMN finished_at timestamptz;
ALTER TABLE bulk ADD COLUMN paced_reserved bigint NOT NULL DEFAULT 0;
