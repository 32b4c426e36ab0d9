-- What other services own and this one hears: the highest version of each key wins.

CREATE TABLE tenant (
    tenant_id uuid PRIMARY KEY,
    version bigint NOT NULL,
    name text NOT NULL,
    country text NOT NULL,
    time_zone text NOT NULL,
    sender text NOT NULL,
    closed boolean NOT NULL
);
CALL kit_tenant_table('tenant', worker => true, app => 'SELECT');

-- Credits as credit-svc last said them: for showing, never for deciding.
CREATE TABLE balance (
    tenant_id uuid PRIMARY KEY,
    account_version bigint NOT NULL,
    available bigint NOT NULL
);
CALL kit_tenant_table('balance', worker => true, app => 'SELECT');

-- Country '*' is every country without a rate of its own.
CREATE TABLE rate (
    country text PRIMARY KEY,
    version bigint NOT NULL,
    credits_per_part bigint NOT NULL CHECK (credits_per_part >= 0)
);
CALL kit_shared_table('rate');

-- A route without countries takes those that no other route names.
CREATE TABLE route (
    route text PRIMARY KEY,
    version bigint NOT NULL,
    countries text[] NOT NULL,
    reference_bits smallint NOT NULL CHECK (reference_bits IN (8, 16)),
    open boolean NOT NULL
);
CALL kit_shared_table('route');

-- owner_id and not tenant_id: senders are the platform's, and whose one is must be asked without being the owner.
CREATE TABLE sender (
    sender text PRIMARY KEY,
    version bigint NOT NULL,
    owner_id text NOT NULL,
    active boolean NOT NULL
);
CALL kit_shared_table('sender');
