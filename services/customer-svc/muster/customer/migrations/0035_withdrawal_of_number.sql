-- From which number a withdrawal came, where that is known: it waits no more once that number is stopped in any way.
ALTER TABLE withdrawal_request ADD COLUMN address_hash bytea;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX withdrawal_request_of_number ON withdrawal_request (tenant_id, address_hash)
    WHERE state = 'waiting' AND address_hash IS NOT NULL;
CALL kit_grant('withdrawal_request', 'worker', 'UPDATE');
