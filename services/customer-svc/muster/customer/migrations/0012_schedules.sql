-- A send that starts by the clock: what it sends, to whom, for how much at most, and when.
CREATE TABLE schedule (
    tenant_id uuid NOT NULL,
    schedule_id uuid NOT NULL,
    name text NOT NULL,
    state text NOT NULL CHECK (state IN ('active', 'paused', 'ended', 'archived')),
    -- The rule in the words of the API, in the time of a clock on the wall of this zone.
    rule jsonb NOT NULL,
    time_zone text NOT NULL,
    text text NOT NULL,
    template_id uuid,
    template_version bigint,
    audience jsonb NOT NULL,
    -- NULL: the tenant's own when it starts.
    sender text,
    message_class smallint NOT NULL,
    credits_max bigint NOT NULL CHECK (credits_max > 0),
    above text NOT NULL CHECK (above IN ('skip', 'first_n')),
    partial smallint NOT NULL,
    send_within_min integer NOT NULL CHECK (send_within_min > 0),
    late_max_min integer NOT NULL CHECK (late_max_min > 0),
    -- The next start, by the time zone database of tz_version; NULL unless the schedule is active.
    -- What a clock on the wall shows has no offset: that is the point of it.
    -- squawk-ignore prefer-timestamp-tz
    next_wall timestamp,
    next_at timestamptz,
    tz_version text NOT NULL,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    changed_at timestamptz NOT NULL,
    -- Who answers for what it sends: the one who changed it last.
    changed_by text NOT NULL,
    changed_role text NOT NULL,
    PRIMARY KEY (tenant_id, schedule_id),
    CHECK ((state = 'active') = (next_at IS NOT NULL)),
    CHECK ((next_at IS NULL) = (next_wall IS NULL))
);
CREATE INDEX schedule_due ON schedule (next_at) WHERE next_at IS NOT NULL;
CALL kit_tenant_table('schedule', worker => true, worker_privileges => 'SELECT');

-- What became of each start, by its time on the wall: each happens once.
CREATE TABLE schedule_start (
    tenant_id uuid NOT NULL,
    schedule_id uuid NOT NULL,
    -- squawk-ignore prefer-timestamp-tz
    wall timestamp NOT NULL,
    at timestamptz NOT NULL,
    outcome text NOT NULL
        CHECK (outcome IN ('started', 'skipped', 'missed', 'above_ceiling', 'not_possible', 'failed')),
    bulk_id uuid,
    -- Why nothing was sent.
    code text NOT NULL,
    detail text NOT NULL,
    -- What it would cost, where that was known.
    credits bigint,
    decided_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, schedule_id, wall),
    FOREIGN KEY (tenant_id, schedule_id) REFERENCES schedule,
    CHECK ((outcome = 'started') = (bulk_id IS NOT NULL))
);
CALL kit_tenant_table('schedule_start', worker => false);

-- At most so many credits are reserved for this send, though it may be planned for more.
ALTER TABLE bulk ADD COLUMN credits_max bigint;
