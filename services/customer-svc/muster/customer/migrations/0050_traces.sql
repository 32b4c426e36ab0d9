-- Which trace a send belongs to: what its planner does, later and elsewhere, is found beside the request that made it.
-- squawk-ignore adding-field-with-default
ALTER TABLE bulk ADD COLUMN traceparent text NOT NULL DEFAULT '';
