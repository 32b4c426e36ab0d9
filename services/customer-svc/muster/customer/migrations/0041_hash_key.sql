-- By which key the numbers here are hashed: with another one nobody's suppression would be found.
CREATE TABLE hash_key (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    generation smallint NOT NULL,
    fingerprint bytea NOT NULL,
    used_since timestamptz NOT NULL DEFAULT kit_now()
);
CALL kit_worker_table('hash_key');
