-- A name as it is searched: without case, accents and apostrophes, other signs between words as spaces.
-- squawk-ignore prefer-robust-stmts
CREATE FUNCTION customer_fold(name text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
    RETURN translate(lower(CASE WHEN octet_length(name) = char_length(name) THEN name
            ELSE regexp_replace(normalize(name, NFKD), '[\u0300-\u036f]', '', 'g') END COLLATE pg_c_utf8),
        '-_.,/''’', '     ');

-- Of every change but those of imports and lists, which touch many: what it changed, and no values.
CREATE TABLE customer_change (
    tenant_id uuid NOT NULL,
    customer_id bigint NOT NULL,
    version bigint NOT NULL,
    fields text[] NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT kit_now(),
    changed_by text NOT NULL,
    PRIMARY KEY (tenant_id, customer_id, version),
    FOREIGN KEY (tenant_id, customer_id) REFERENCES customer ON DELETE CASCADE
);
CALL kit_tenant_table('customer_change', app => 'SELECT, INSERT');

ALTER TABLE customer
    -- Counts each change of a customer: two people who change one at the same time are told.
    ADD COLUMN version bigint NOT NULL DEFAULT 1,
    -- Nobody texts whom somebody has archived. Who was merged into another customer stays archived.
    ADD COLUMN archived_at timestamptz,
    ADD COLUMN merged_into bigint,
    -- Row-level security keeps LIKE, arrays and GIN from any index (their functions may leak); prefixes of text may use one.
    -- squawk-ignore adding-field-with-default
    ADD COLUMN first_key text COLLATE "C" GENERATED ALWAYS AS (left(customer_fold(first_name), 64)) STORED,
    -- squawk-ignore adding-field-with-default
    ADD COLUMN last_key text COLLATE "C" GENERATED ALWAYS AS (left(customer_fold(last_name), 64)) STORED,
    -- squawk-ignore constraint-missing-not-valid
    ADD CONSTRAINT customer_merged_is_archived CHECK (merged_into IS NULL OR archived_at IS NOT NULL);
-- Whoever has a million customers waits for seconds, once.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX customer_first_key ON customer (tenant_id, first_key);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX customer_last_key ON customer (tenant_id, last_key);

-- The second and later words of names that have some: "der" and "berg" of Ana van der Berg.
CREATE TABLE customer_word (
    tenant_id uuid NOT NULL,
    word text COLLATE "C" NOT NULL,
    customer_id bigint NOT NULL,
    PRIMARY KEY (tenant_id, word, customer_id)
);
CALL kit_tenant_table('customer_word', worker => true, app => 'SELECT, INSERT, DELETE',
                      worker_privileges => 'SELECT, INSERT, DELETE');

CREATE FUNCTION customer_words(first_key text, last_key text) RETURNS SETOF text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT DISTINCT w.word FROM (VALUES (first_key), (last_key)) AS k (name),
            string_to_table(ltrim(k.name), ' ') WITH ORDINALITY AS w (word, place)
        WHERE w.place > 1 AND w.word <> '';
    END;

CREATE FUNCTION customer_keep_words() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM customer_word
        WHERE tenant_id = OLD.tenant_id AND customer_id = OLD.customer_id
            AND word IN (SELECT customer_words(OLD.first_key, OLD.last_key));
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO customer_word (tenant_id, word, customer_id)
        SELECT NEW.tenant_id, w, NEW.customer_id FROM customer_words(NEW.first_key, NEW.last_key) w;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER customer_words_made AFTER INSERT ON customer FOR EACH ROW
    WHEN (NEW.first_key LIKE '% %' OR NEW.last_key LIKE '% %') EXECUTE FUNCTION customer_keep_words();
CREATE TRIGGER customer_words_changed AFTER UPDATE ON customer FOR EACH ROW
    WHEN (OLD.first_key <> NEW.first_key OR OLD.last_key <> NEW.last_key) EXECUTE FUNCTION customer_keep_words();
CREATE TRIGGER customer_words_gone AFTER DELETE ON customer FOR EACH ROW
    WHEN (OLD.first_key LIKE '% %' OR OLD.last_key LIKE '% %') EXECUTE FUNCTION customer_keep_words();

-- customer_number holds what can be texted, and nothing else.
ALTER TABLE customer_number
    -- As somebody typed it; NULL: as E.164.
    ADD COLUMN typed text CHECK (length(typed) <= 64),
    -- Its digits from the last to the first behind a 1: what a number ends with is a range of these.
    -- squawk-ignore adding-field-with-default
    ADD COLUMN backwards bigint GENERATED ALWAYS AS (('1' || reverse(number::text))::bigint) STORED;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX customer_number_number ON customer_number (tenant_id, number);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX customer_number_backwards ON customer_number (tenant_id, backwards);

-- Numbers that are kept and never texted: no audience, quote or message reads this table.
CREATE TABLE customer_other_number (
    tenant_id uuid NOT NULL,
    customer_id bigint NOT NULL,
    position smallint NOT NULL CHECK (position > 0),
    typed text NOT NULL CHECK (typed <> '' AND length(typed) <= 64),
    -- Digits of the E.164 form; of a short number the digits that are dialled.
    number bigint NOT NULL,
    backwards bigint GENERATED ALWAYS AS (('1' || reverse(number::text))::bigint) STORED,
    country text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('landline', 'voip', 'toll_free', 'shared_cost', 'personal', 'pager', 'company',
                                       'voicemail', 'short')),
    PRIMARY KEY (tenant_id, customer_id, position),
    FOREIGN KEY (tenant_id, customer_id) REFERENCES customer ON DELETE CASCADE
);
CREATE INDEX customer_other_number_number ON customer_other_number (tenant_id, number);
CREATE INDEX customer_other_number_backwards ON customer_other_number (tenant_id, backwards);
CALL kit_tenant_table('customer_other_number', worker => true);

-- What the business says an own field is; one that nobody defined is a text. Values are texts in customer.own_fields:
-- a date as 2026-05-01, a number as 12.5.
CREATE TABLE own_field (
    tenant_id uuid NOT NULL,
    key text NOT NULL CHECK (key ~ '^[a-z_][a-z0-9_]{0,63}$'),
    name text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('text', 'date', 'number')),
    created_at timestamptz NOT NULL DEFAULT kit_now(),
    created_by text NOT NULL,
    PRIMARY KEY (tenant_id, key)
);
CALL kit_tenant_table('own_field', worker => true, worker_privileges => 'SELECT');

-- The owner is under row-level security too.
ALTER TABLE customer NO FORCE ROW LEVEL SECURITY;
ALTER TABLE customer_word NO FORCE ROW LEVEL SECURITY;
INSERT INTO customer_word (tenant_id, word, customer_id)
SELECT c.tenant_id, w, c.customer_id FROM customer c, customer_words(c.first_key, c.last_key) w
WHERE c.first_key LIKE '% %' OR c.last_key LIKE '% %';
ALTER TABLE customer FORCE ROW LEVEL SECURITY;
ALTER TABLE customer_word FORCE ROW LEVEL SECURITY;
