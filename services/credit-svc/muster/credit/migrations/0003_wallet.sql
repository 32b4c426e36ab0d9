-- Money coming in and its limits: confirmations, payments, transfers, caps, and what happens when credits run low.

ALTER TABLE account
    -- The reseller whose sub-account this is.
    ADD COLUMN parent_id uuid,
    ADD COLUMN time_zone text NOT NULL DEFAULT 'UTC',
    ADD COLUMN cap_daily bigint CHECK (cap_daily >= 0),
    ADD COLUMN cap_monthly bigint CHECK (cap_monthly >= 0),
    -- What counts towards the caps, on this day of the tenant's wall clock and in its month.
    ADD COLUMN used_on date NOT NULL DEFAULT '0001-01-01',
    ADD COLUMN used_daily bigint NOT NULL DEFAULT 0 CHECK (used_daily >= 0),
    ADD COLUMN used_monthly bigint NOT NULL DEFAULT 0 CHECK (used_monthly >= 0);
-- Below zero where more was transferred to others, and its top-up then taken back, than is left.
-- squawk-ignore ban-drop-constraint
ALTER TABLE account DROP CONSTRAINT account_granted_check;

ALTER TABLE reservation ADD COLUMN reserved_on date NOT NULL DEFAULT '0001-01-01';

-- squawk-ignore ban-drop-constraint
ALTER TABLE entry DROP CONSTRAINT entry_kind_check;
ALTER TABLE entry ADD CONSTRAINT entry_kind_check CHECK (kind IN
    ('top_up', 'reversal', 'pending', 'post', 'void', 'refund', 'transfer_out', 'transfer_in')) NOT VALID;

-- What of a grant was taken back, where it was not (yet) taken back as a whole: payments are refunded in parts.
ALTER TABLE top_up ADD COLUMN taken_back bigint NOT NULL DEFAULT 0 CHECK (taken_back >= 0);
-- A payment is heard before its tenant is known: the worker grants it.
CALL kit_grant('top_up', 'worker', 'INSERT, UPDATE');

-- Top-ups that wait for a second person, and what that person decided.
CREATE TABLE top_up_approval (
    tenant_id uuid NOT NULL,
    top_up_id uuid NOT NULL,
    credits bigint NOT NULL CHECK (credits > 0),
    reason text NOT NULL,
    reference text NOT NULL,
    actor text NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT kit_now(),
    expires_at timestamptz NOT NULL,
    decision text CHECK (decision IN ('confirmed', 'rejected')),
    decided_by text NOT NULL DEFAULT '',
    decided_at timestamptz,
    decision_reason text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, top_up_id),
    CONSTRAINT top_up_approval_by_a_second_person CHECK (decision IS DISTINCT FROM 'confirmed' OR decided_by <> actor)
);
CALL kit_tenant_table('top_up_approval', worker => true, app => 'SELECT, INSERT, UPDATE', worker_privileges => 'SELECT');

-- What money is in credits: so many credits for so many minor units of a currency, from a moment on.
CREATE TABLE price (
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    valid_from timestamptz NOT NULL,
    minor_units bigint NOT NULL CHECK (minor_units BETWEEN 1 AND 1000000000),
    credits bigint NOT NULL CHECK (credits BETWEEN 1 AND 1000000000),
    actor text NOT NULL,
    PRIMARY KEY (currency, valid_from)
);
CALL kit_shared_table('price', app => 'SELECT, INSERT', worker => 'SELECT');

-- Each payment once, by the provider's id of it.
CREATE TABLE payment (
    tenant_id uuid NOT NULL,
    payment_id text NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    currency text NOT NULL,
    credits bigint NOT NULL CHECK (credits > 0),
    top_up_id uuid NOT NULL,
    charge_id uuid,
    paid_at timestamptz NOT NULL,
    heard_at timestamptz NOT NULL DEFAULT kit_now(),
    -- Minor units that went back.
    returned bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, payment_id),
    -- Over tenants: a payment that is told of two of them is refused.
    CONSTRAINT payment_of_one_tenant UNIQUE (payment_id),
    CONSTRAINT payment_returned_within CHECK (returned BETWEEN 0 AND amount)
);
CALL kit_tenant_table('payment', worker => true, app => 'SELECT', worker_privileges => 'SELECT, INSERT, UPDATE');

CREATE TABLE payment_return (
    tenant_id uuid NOT NULL,
    payment_id text NOT NULL,
    return_id text NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    credits bigint NOT NULL CHECK (credits >= 0),
    why text NOT NULL CHECK (why IN ('refund', 'chargeback')),
    heard_at timestamptz NOT NULL DEFAULT kit_now(),
    PRIMARY KEY (tenant_id, payment_id, return_id),
    FOREIGN KEY (tenant_id, payment_id) REFERENCES payment (tenant_id, payment_id)
);
CALL kit_tenant_table('payment_return', worker => true, app => 'SELECT', worker_privileges => 'SELECT, INSERT');

-- What a tenant wants when its credits run low. A threshold that is armed was not crossed since it was reached.
CREATE TABLE watch (
    tenant_id uuid NOT NULL,
    alert_below bigint CHECK (alert_below > 0),
    alert_armed boolean NOT NULL DEFAULT true,
    top_up_below bigint CHECK (top_up_below > 0),
    top_up_armed boolean NOT NULL DEFAULT true,
    -- In minor units of the currency.
    amount bigint NOT NULL DEFAULT 0 CHECK (amount >= 0),
    currency text NOT NULL DEFAULT '',
    monthly_max bigint NOT NULL DEFAULT 0 CHECK (monthly_max >= 0),
    PRIMARY KEY (tenant_id),
    CONSTRAINT watch_tops_up_by_something CHECK (top_up_below IS NULL OR amount > 0 AND currency <> '')
);
CALL kit_tenant_table('watch', worker => true, app => 'SELECT, INSERT, UPDATE', worker_privileges => 'SELECT, UPDATE');

-- Automatic top-ups: the intent is here before the provider is asked, its outcome after.
CREATE TABLE charge (
    tenant_id uuid NOT NULL,
    charge_id uuid NOT NULL,
    account_version bigint NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    currency text NOT NULL,
    -- The month of the tenant's wall clock whose maximum it counts towards.
    month text NOT NULL,
    state text NOT NULL DEFAULT 'intended' CHECK (state IN ('intended', 'paid', 'failed')),
    reason text NOT NULL DEFAULT '',
    payment_id text NOT NULL DEFAULT '',
    attempts bigint NOT NULL DEFAULT 0,
    intended_at timestamptz NOT NULL DEFAULT kit_now(),
    due_at timestamptz NOT NULL DEFAULT kit_now(),
    ended_at timestamptz,
    PRIMARY KEY (tenant_id, charge_id)
);
CREATE INDEX charge_due ON charge (due_at) WHERE state = 'intended';
CREATE INDEX charge_of_month ON charge (tenant_id, month);
CALL kit_tenant_table('charge', worker => true, app => 'SELECT, INSERT', worker_privileges => 'SELECT, INSERT, UPDATE');

-- Credits moved between a reseller and its sub-accounts; of the tenant that asked for it, nil for the operator.
CREATE TABLE transfer (
    tenant_id uuid NOT NULL,
    transfer_id uuid NOT NULL,
    from_tenant uuid NOT NULL,
    to_tenant uuid NOT NULL,
    credits bigint NOT NULL CHECK (credits > 0),
    reason text NOT NULL,
    actor text NOT NULL,
    from_available bigint NOT NULL,
    to_available bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT kit_now(),
    PRIMARY KEY (tenant_id, transfer_id),
    CONSTRAINT transfer_to_another CHECK (from_tenant <> to_tenant)
);
CALL kit_tenant_table('transfer', worker => true, app => 'SELECT', worker_privileges => 'SELECT, INSERT');
