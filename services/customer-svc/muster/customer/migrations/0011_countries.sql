-- The countries that a tenant sends to, "*" for all; none said: its own alone.
ALTER TABLE tenant ADD COLUMN countries text[] NOT NULL DEFAULT '{}';
