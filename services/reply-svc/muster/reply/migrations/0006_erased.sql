-- Who was erased is remembered by the kit (erased_number) in every service. Nobody has ever said an erasure.
-- squawk-ignore ban-drop-table
DROP TABLE erased;
-- What was answered to requests is blanked where it names somebody who was erased.
CALL kit_grant('idempotency', 'worker', 'UPDATE');
