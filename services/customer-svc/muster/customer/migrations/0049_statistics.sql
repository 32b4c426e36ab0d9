-- After a large import the planner must know of it at once, not when autovacuum comes by: who asks for a count just then
-- would wait for a plan made for a handful of customers.
DO $$
BEGIN
    EXECUTE format('GRANT MAINTAIN ON customer, customer_number, customer_other_number, customer_list_member TO %I',
        kit_role('worker'));
END $$;
