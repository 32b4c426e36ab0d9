-- Templates with categories and texts in several languages; what a quote writes its merge values by; own fields whose
-- values keep their lines.
ALTER TABLE template
    ADD COLUMN category text NOT NULL DEFAULT '',
    -- Of `text`, as a tag such as de or pt-BR; '': that of the business.
    ADD COLUMN language text NOT NULL DEFAULT '',
    -- The text in other languages, by tag.
    ADD COLUMN others jsonb NOT NULL DEFAULT '{}',
    -- A version that puts the template out of use; a later one takes it in use again.
    ADD COLUMN archived boolean NOT NULL DEFAULT false;

-- NULL in quotes of before: every value is written as it is stored.
ALTER TABLE quote ADD COLUMN style jsonb;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX quote_template ON quote (tenant_id, template_id) WHERE template_id IS NOT NULL;

-- squawk-ignore ban-drop-constraint
ALTER TABLE own_field DROP CONSTRAINT own_field_kind_check;
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE own_field ADD CONSTRAINT own_field_kind_check CHECK (kind IN ('text', 'free', 'date', 'number'));

-- A brace by itself was a brace until now; from now on {name} is a field as {{name}} is, and a brace is written \{.
CREATE FUNCTION braces_kept(written text) RETURNS text LANGUAGE sql IMMUTABLE
    RETURN regexp_replace(regexp_replace(written, '([{}])', '\\\1', 'g'), '\\\{\\\{([^{}]*)\\\}\\\}', '{{\1}}', 'g');
ALTER TABLE template NO FORCE ROW LEVEL SECURITY;
UPDATE template SET text = braces_kept(text) WHERE text ~ '[{}]';
ALTER TABLE template FORCE ROW LEVEL SECURITY;
ALTER TABLE schedule NO FORCE ROW LEVEL SECURITY;
UPDATE schedule SET text = braces_kept(text) WHERE text ~ '[{}]';
ALTER TABLE schedule FORCE ROW LEVEL SECURITY;
ALTER TABLE quote NO FORCE ROW LEVEL SECURITY;
UPDATE quote SET text = braces_kept(text) WHERE text ~ '[{}]';
ALTER TABLE quote FORCE ROW LEVEL SECURITY;
-- Texts of single messages have no fields.
ALTER TABLE bulk NO FORCE ROW LEVEL SECURITY;
UPDATE bulk SET text = braces_kept(text) WHERE text ~ '[{}]' AND kind = 1;
ALTER TABLE bulk FORCE ROW LEVEL SECURITY;
-- It was made above.
-- squawk-ignore ban-drop-function
DROP FUNCTION braces_kept;
