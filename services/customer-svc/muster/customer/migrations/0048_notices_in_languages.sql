-- The words of a business by rule in other languages than its country's: by tag, each with identity, reply and by_link.
ALTER TABLE notices ADD COLUMN others jsonb NOT NULL DEFAULT '{}';
