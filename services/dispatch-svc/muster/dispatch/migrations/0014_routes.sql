-- Routes as operators make them: what each takes, the accounts it leads to, by weight, and where to when none can.

-- countries, senders: none for any; senders are digits or names. accounts and weights belong together; account is the
-- heaviest, for who knows of one alone. failover: another route, '' for none. managed: an operator has changed it, and
-- the environment has no say in it any more. A route that was deleted stays for its version, which goes on.
ALTER TABLE route ADD COLUMN senders text[] NOT NULL DEFAULT '{}', ADD COLUMN accounts text[] NOT NULL DEFAULT '{}',
    ADD COLUMN weights integer[] NOT NULL DEFAULT '{}', ADD COLUMN failover text NOT NULL DEFAULT '',
    ADD COLUMN managed boolean NOT NULL DEFAULT false, ADD COLUMN deleted boolean NOT NULL DEFAULT false;
UPDATE route SET accounts = ARRAY[account], weights = '{1}';
ALTER TABLE route ADD CONSTRAINT route_weighs_its_accounts CHECK (cardinality(accounts) = cardinality(weights))
    NOT VALID;
ALTER TABLE route ADD CONSTRAINT route_has_no_sandbox CHECK (NOT 'sandbox' = ANY (accounts)) NOT VALID;
CALL kit_grant('route', 'app', 'SELECT, INSERT, UPDATE');
