-- Few customers have more numbers than one: whether a business has any such is asked before each count of an audience.
-- Whoever has a million numbers waits for a second, once.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX customer_number_later ON customer_number (tenant_id, customer_id, position) WHERE position > 1;
