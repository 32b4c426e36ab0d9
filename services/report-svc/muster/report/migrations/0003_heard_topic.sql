-- Which topic the applied offsets are of: one that was deleted and made again has the same name and another id.
CREATE TABLE heard_topic (
    topic text PRIMARY KEY,
    topic_id uuid NOT NULL
);
CALL kit_worker_table('heard_topic');
