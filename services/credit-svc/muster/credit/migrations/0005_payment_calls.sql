-- Calls of the payment provider that were taken, for as long as their signature holds: one that was caught and is sent
-- once more is refused. A retry is signed anew, with a time of its own.
CREATE TABLE payment_call (
    call_id text NOT NULL,
    signed_at bigint NOT NULL, -- Unix seconds, as the provider wrote them
    heard_at timestamptz NOT NULL DEFAULT kit_now(),
    PRIMARY KEY (call_id, signed_at)
);
CALL kit_grant('payment_call', 'worker', 'SELECT, INSERT, UPDATE, DELETE');
