-- From how much on a send of a business needs a second person; NULL: not for that.
CREATE TABLE approval_rule (
    tenant_id uuid NOT NULL PRIMARY KEY,
    credits_above bigint CHECK (credits_above >= 0),
    recipients_above bigint CHECK (recipients_above >= 0),
    -- To whom requests are written; '': to the reception.
    email text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT kit_now(),
    changed_by text NOT NULL
);
CALL kit_tenant_table('approval_rule', worker => false, app => 'SELECT, INSERT, UPDATE');

-- Rises with each change of what a schedule sends, to whom, for how much or when.
ALTER TABLE schedule ADD COLUMN version bigint NOT NULL DEFAULT 1;

-- What one person wants to send and another one is asked about. Nothing of it ever changes but the decision and what it
-- was used for, so that an approval is of exactly what was asked for.
CREATE TABLE approval (
    tenant_id uuid NOT NULL,
    approval_id uuid NOT NULL,
    subject text NOT NULL CHECK (subject IN ('quote', 'send', 'schedule')),
    subject_id uuid NOT NULL,
    -- Of a schedule its version, of a send the credits that its plan came to; a quote never changes.
    version bigint NOT NULL,
    -- At most so many may be spent by it, of a schedule at each start.
    credits bigint NOT NULL CHECK (credits >= 0),
    -- NULL of a schedule, whose starts are counted when their time has come.
    recipients bigint,
    note text NOT NULL,
    -- Who made the subject, and who asked for its approval: neither is the second person.
    made_by text NOT NULL,
    asked_by text NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT kit_now(),
    -- Until when it can be decided and, once approved, used.
    expires_at timestamptz NOT NULL,
    decision text CHECK (decision IN ('approved', 'refused', 'withdrawn')),
    decided_by text,
    decided_at timestamptz,
    reason text NOT NULL DEFAULT '',
    -- The send that it let through; of a schedule there may be many.
    used_by uuid,
    PRIMARY KEY (tenant_id, approval_id),
    CHECK ((decision IS NULL) = (decided_by IS NULL) AND (decision IS NULL) = (decided_at IS NULL)),
    CONSTRAINT approval_by_a_second_person
        CHECK (decision IS DISTINCT FROM 'approved' OR (decided_by <> asked_by AND decided_by <> made_by)),
    CONSTRAINT approval_in_time CHECK (decision IS DISTINCT FROM 'approved' OR decided_at < expires_at),
    CONSTRAINT approval_used CHECK (used_by IS NULL OR (decision IS NOT DISTINCT FROM 'approved' AND subject <> 'schedule'))
);
CREATE INDEX approval_of_subject ON approval (tenant_id, subject, subject_id, version);
CREATE INDEX approval_undecided ON approval (tenant_id, approval_id) WHERE decision IS NULL;
CALL kit_tenant_table('approval', worker => false, app => 'SELECT, INSERT, UPDATE');

-- At most so many credits may be agreed to for this send, and reserved, without a (further) second person; NULL: any.
ALTER TABLE bulk ADD COLUMN credits_allowed bigint, ADD COLUMN approval_id uuid;
ALTER TABLE bulk ADD CONSTRAINT bulk_credits_allowed
    CHECK (credits_confirmed <= credits_allowed AND (credits_max IS NULL OR credits_max <= credits_allowed)) NOT VALID;
