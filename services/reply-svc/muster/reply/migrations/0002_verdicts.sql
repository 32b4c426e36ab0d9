-- A person decides about an unclear reply.
CALL kit_grant('inbound_message', 'app', 'UPDATE (verdict, scope, rule)');
