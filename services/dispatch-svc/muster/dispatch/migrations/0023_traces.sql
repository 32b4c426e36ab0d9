-- Which trace a chunk belongs to: what its sender and its receipts say of it is found beside the request that made it.
-- squawk-ignore adding-field-with-default
ALTER TABLE chunk ADD COLUMN traceparent text NOT NULL DEFAULT '';
