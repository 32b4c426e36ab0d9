-- Whether a tenant's marketing keeps to what is usual where no law asks for hours; the public holidays (AU, AU-NSW) and
-- other days on which it sends none.
ALTER TABLE tenant ADD COLUMN customary_hours boolean NOT NULL DEFAULT false;
ALTER TABLE tenant ADD COLUMN holidays text[] NOT NULL DEFAULT '{}';
ALTER TABLE tenant ADD COLUMN closed_days date[] NOT NULL DEFAULT '{}';
