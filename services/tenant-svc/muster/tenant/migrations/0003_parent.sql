-- The reseller whose sub-account a tenant is.
ALTER TABLE tenant ADD COLUMN parent_id uuid;
