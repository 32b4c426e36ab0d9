-- Single messages of many tenants are committed together by the worker, with what is answered to their keys.
CALL kit_grant('idempotency', 'worker', 'INSERT');
