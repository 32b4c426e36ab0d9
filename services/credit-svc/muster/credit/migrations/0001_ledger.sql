-- The prepaid ledger. One row per tenant holds what its credits are now; entries say how they came to be so.

CREATE TABLE account (
    tenant_id uuid NOT NULL,
    granted bigint NOT NULL DEFAULT 0 CHECK (granted >= 0),
    owed bigint NOT NULL DEFAULT 0 CHECK (owed >= 0),
    available bigint NOT NULL DEFAULT 0 CHECK (available >= 0),
    reserved bigint NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    consumed bigint NOT NULL DEFAULT 0 CHECK (consumed >= 0),
    version bigint NOT NULL DEFAULT 0 CHECK (version >= 0),
    -- The version of the tenant last heard of; 0: none yet.
    tenant_version bigint NOT NULL DEFAULT 0,
    closed boolean NOT NULL DEFAULT false,
    PRIMARY KEY (tenant_id),
    CONSTRAINT account_conserved CHECK (granted + owed = available + reserved + consumed),
    CONSTRAINT account_owing_has_nothing CHECK (owed = 0 OR available = 0)
) WITH (fillfactor = 50); -- each change stays on its page (HOT): no index holds what changes
CALL kit_tenant_table('account', worker => true, app => 'SELECT, UPDATE', worker_privileges => 'SELECT, INSERT, UPDATE');

CREATE TABLE entry (
    tenant_id uuid NOT NULL,
    account_version bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT kit_now(),
    kind text NOT NULL CHECK (kind IN ('top_up', 'reversal', 'pending', 'post', 'void', 'refund')),
    credits bigint NOT NULL CHECK (credits > 0),
    bulk_id uuid,
    granted_after bigint NOT NULL,
    owed_after bigint NOT NULL,
    available_after bigint NOT NULL,
    reserved_after bigint NOT NULL,
    consumed_after bigint NOT NULL,
    reason text NOT NULL DEFAULT '',
    reference text NOT NULL DEFAULT '',
    actor text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, account_version),
    CONSTRAINT entry_conserved
        CHECK (granted_after + owed_after = available_after + reserved_after + consumed_after),
    CONSTRAINT entry_of_a_send CHECK ((bulk_id IS NOT NULL) = (kind IN ('pending', 'post', 'void', 'refund')))
);
CALL kit_tenant_table('entry', worker => true, app => 'SELECT, INSERT', worker_privileges => 'SELECT, INSERT');

CREATE FUNCTION entry_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'entries of the ledger are never changed: a correction is an entry of its own';
END
$$;
CREATE TRIGGER entry_is_final BEFORE UPDATE OR DELETE OR TRUNCATE ON entry
    FOR EACH STATEMENT EXECUTE FUNCTION entry_is_final();

CREATE TABLE reservation (
    tenant_id uuid NOT NULL,
    bulk_id uuid NOT NULL,
    -- NULL while totals were heard of a send whose request was not.
    answer text CHECK (answer IN ('reserved', 'refused')),
    asked bigint NOT NULL DEFAULT 0 CHECK (asked >= 0),
    reserved bigint NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    shortfall bigint NOT NULL DEFAULT 0 CHECK (shortfall >= 0),
    reason text NOT NULL DEFAULT '',
    send_by_ms bigint NOT NULL DEFAULT 0,
    answered_version bigint NOT NULL DEFAULT 0,
    answered_available bigint NOT NULL DEFAULT 0,
    used bigint NOT NULL DEFAULT 0 CHECK (used >= 0),
    released bigint NOT NULL DEFAULT 0 CHECK (released >= 0),
    held bigint NOT NULL DEFAULT 0 CHECK (held >= 0),
    refunded bigint NOT NULL DEFAULT 0 CHECK (refunded BETWEEN 0 AND used),
    -- The version of the totals last applied; 0: none yet.
    version bigint NOT NULL DEFAULT 0,
    closed boolean NOT NULL DEFAULT false,
    -- Said to be used beyond what was reserved: not charged, and a violation of the second law.
    excess bigint NOT NULL DEFAULT 0 CHECK (excess >= 0),
    settled_version bigint NOT NULL DEFAULT 0,
    settled_available bigint NOT NULL DEFAULT 0,
    requested_at timestamptz NOT NULL DEFAULT kit_now(),
    PRIMARY KEY (tenant_id, bulk_id),
    CONSTRAINT reservation_conserved CHECK (reserved = used + released + held),
    CONSTRAINT reservation_closed_holds_nothing CHECK (NOT closed OR held = 0)
) WITH (fillfactor = 70);
CALL kit_tenant_table('reservation', worker => true, app => 'SELECT', worker_privileges => 'SELECT, INSERT, UPDATE');

-- One row for each grant: the operation's own key, so that a repeated one is found after any time.
CREATE TABLE top_up (
    tenant_id uuid NOT NULL,
    top_up_id uuid NOT NULL,
    account_version bigint NOT NULL,
    credits bigint NOT NULL CHECK (credits > 0),
    reason text NOT NULL,
    reference text NOT NULL,
    actor text NOT NULL,
    available_after bigint NOT NULL,
    reversed_version bigint,
    reversed_available bigint,
    PRIMARY KEY (tenant_id, top_up_id)
);
CALL kit_tenant_table('top_up', worker => true, app => 'SELECT, INSERT, UPDATE', worker_privileges => 'SELECT');
