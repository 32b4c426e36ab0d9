-- Whom the operator has suspended, and (the nil id) whether the platform is stopped; as dispatch-svc says it, the highest
-- version wins. subject_id and not tenant_id: who sends must see that the platform is stopped.
CREATE TABLE suspension (
    subject_id uuid PRIMARY KEY,
    version bigint NOT NULL,
    suspended boolean NOT NULL,
    reason text NOT NULL
);
CALL kit_shared_table('suspension');
