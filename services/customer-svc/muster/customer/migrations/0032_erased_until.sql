-- A number may be said to be erased until a later moment than at first: by then a send had begun that still had the
-- customer, while the erasure was being stored.
CALL kit_grant('erasure_number', 'app', 'UPDATE (version)');
