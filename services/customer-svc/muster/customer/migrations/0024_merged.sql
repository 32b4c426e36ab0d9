-- Who was merged into a customer goes with them. Few were, so this takes a moment.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX customer_merged_into ON customer (tenant_id, merged_into) WHERE merged_into IS NOT NULL;
