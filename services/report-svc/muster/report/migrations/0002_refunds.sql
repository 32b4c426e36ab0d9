-- Credits of failed messages of a send that came back by its tenant's rule.
ALTER TABLE bulk ADD COLUMN refunded bigint NOT NULL DEFAULT 0;
