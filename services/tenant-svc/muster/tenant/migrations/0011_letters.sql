-- What users are sent by e-mail, and who asked for a new password.

CREATE TABLE letter (
    tenant_id uuid NOT NULL,
    letter_id uuid NOT NULL,
    user_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('invitation', 'reset', 'password_changed')),
    -- The token of its link, sealed by a key that is not in this database; blanked once the letter has left.
    sealed_token bytea,
    since timestamptz NOT NULL DEFAULT kit_now(),
    due_at timestamptz NOT NULL DEFAULT kit_now(),
    attempts integer NOT NULL DEFAULT 0,
    state text NOT NULL DEFAULT 'due' CHECK (state IN ('due', 'sent', 'failed')),
    error text NOT NULL DEFAULT '',
    ended_at timestamptz,
    PRIMARY KEY (tenant_id, letter_id),
    CONSTRAINT letter_keeps_no_token CHECK (state = 'due' OR sealed_token IS NULL),
    FOREIGN KEY (tenant_id, user_id) REFERENCES member (tenant_id, user_id)
);
CREATE INDEX letter_due ON letter (due_at) WHERE state = 'due';
CREATE INDEX letter_of_user ON letter (tenant_id, user_id, since DESC);
CALL kit_tenant_table('letter', worker => true, app => 'SELECT, INSERT',
    worker_privileges => 'SELECT, INSERT, UPDATE, DELETE');

-- Who asked for a new password is answered by the worker.
CALL kit_grant('link', 'worker', 'INSERT');

-- Whether the address is anybody's is found out after the answer, so that the answer does not tell.
CREATE TABLE reset_asked (
    asked_id uuid PRIMARY KEY,
    email text NOT NULL CHECK (length(email) <= 254),
    asked_at timestamptz NOT NULL DEFAULT kit_now()
);
CALL kit_worker_table('reset_asked');
