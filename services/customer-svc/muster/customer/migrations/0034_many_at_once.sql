-- The same statement, planned anew each time. A plan that was kept from when nobody or one was changed, as in the first
-- block of an import, goes through all changed rows for each of them: 2 s for 2,400.
CREATE OR REPLACE FUNCTION customer_changed_consent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE $said$
    WITH said AS (
        INSERT INTO consent_version (tenant_id, customer_id, version, kind, allow_bulk_sms, given_at, how, wording,
                                     given_by, address, source, recorded_by, recorded_at, undoes_at, hash)
        SELECT n.tenant_id, n.customer_id, 1, n.consent, n.allow_bulk_sms, n.consent_at, n.consent_how,
            n.consent_wording, n.consent_given_by, n.consent_address, n.consent_source, n.consent_by, kit_now(),
            CASE WHEN o.consent = 'withdrawn' AND n.consent <> 'withdrawn'
                 THEN coalesce(o.consent_at, '-infinity') END, ''
        FROM written n JOIN before o USING (tenant_id, customer_id)
        WHERE (n.consent, n.consent_how, n.consent_wording, n.consent_by, n.consent_given_by, n.consent_address,
               n.consent_source) <> (o.consent, o.consent_how, o.consent_wording, o.consent_by, o.consent_given_by,
               o.consent_address, o.consent_source)
            OR n.allow_bulk_sms IS DISTINCT FROM o.allow_bulk_sms OR n.consent_at IS DISTINCT FROM o.consent_at
        ORDER BY n.tenant_id, n.customer_id
        RETURNING tenant_id, customer_id, kind, source, wording, given_at
    )
    -- A word on all numbers takes the place of words on one; of a withdrawal only where it could undo it.
    DELETE FROM number_consent c USING said s
    WHERE c.tenant_id = s.tenant_id AND c.customer_id = s.customer_id
        AND (c.kind <> 'withdrawn' OR s.kind = 'withdrawn' OR (s.kind = 'express' AND s.wording <> ''
             AND s.source IN ('person', 'form', 'reply', 'link') AND s.given_at > c.given_at))
    $said$;
    RETURN NULL;
END
$$;

-- Most names have no second word, before and after they are changed: then there is nothing to look for.
CREATE OR REPLACE FUNCTION customer_keep_words() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND (OLD.first_key LIKE '% %' OR OLD.last_key LIKE '% %') THEN
        DELETE FROM customer_word
        WHERE tenant_id = OLD.tenant_id AND customer_id = OLD.customer_id
            AND word = ANY(ARRAY(SELECT customer_words(OLD.first_key, OLD.last_key)));
    END IF;
    IF TG_OP <> 'DELETE' AND (NEW.first_key LIKE '% %' OR NEW.last_key LIKE '% %') THEN
        INSERT INTO customer_word (tenant_id, word, customer_id)
        SELECT NEW.tenant_id, w, NEW.customer_id FROM customer_words(NEW.first_key, NEW.last_key) w;
    END IF;
    RETURN NULL;
END $$;
