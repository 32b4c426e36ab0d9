-- Credits for one part by country and date. '*' stands for every country without a rate of its own.

CREATE TABLE rate (
    country text NOT NULL CHECK (country ~ '^([A-Z]{2}|\*)$'),
    version bigint NOT NULL CHECK (version > 0),
    credits_per_part bigint NOT NULL CHECK (credits_per_part BETWEEN 1 AND 1000),
    valid_from timestamptz NOT NULL,
    -- When it was published: the topic keeps one rate per country, so a future one waits for its day.
    said_at timestamptz,
    actor text NOT NULL DEFAULT '',
    PRIMARY KEY (country, version)
);
CALL kit_shared_table('rate', app => 'SELECT, INSERT, UPDATE');

INSERT INTO rate (country, version, credits_per_part, valid_from)
VALUES
    ('AU', 1, 1, '2026-01-01T00:00:00Z'),
    ('GB', 1, 1, '2026-01-01T00:00:00Z'),
    ('US', 1, 1, '2026-01-01T00:00:00Z'),
    ('NZ', 1, 2, '2026-01-01T00:00:00Z'),
    ('IE', 1, 2, '2026-01-01T00:00:00Z'),
    ('CA', 1, 2, '2026-01-01T00:00:00Z'),
    ('*', 1, 2, '2026-01-01T00:00:00Z');
