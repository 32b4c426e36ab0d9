-- The countries that a tenant sends to, and those that it may choose among besides its own ("*": all). None said: its own.
ALTER TABLE tenant ADD COLUMN countries text[] NOT NULL DEFAULT '{}';
ALTER TABLE tenant ADD COLUMN countries_max text[] NOT NULL DEFAULT '{}';
