-- Whether an operator has suspended the tenant, as dispatch-svc says it under versions of its own.
ALTER TABLE tenant ADD COLUMN suspended boolean NOT NULL DEFAULT false;
ALTER TABLE tenant ADD COLUMN suspension_version bigint NOT NULL DEFAULT 0;
CALL kit_grant('tenant', 'worker', 'UPDATE');
