-- The words of new customers' names are kept for all rows of a statement at once: in a file of full names each row has some,
-- and each was a statement of its own.
CREATE FUNCTION customer_keep_new_words() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO customer_word (tenant_id, word, customer_id)
    SELECT n.tenant_id, w, n.customer_id FROM written n CROSS JOIN LATERAL customer_words(n.first_key, n.last_key) w
    WHERE n.first_key LIKE '% %' OR n.last_key LIKE '% %' ORDER BY 1, 2, 3;
    RETURN NULL;
END
$$;
DROP TRIGGER customer_words_made ON customer;
CREATE TRIGGER customer_words_made AFTER INSERT ON customer REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION customer_keep_new_words();
