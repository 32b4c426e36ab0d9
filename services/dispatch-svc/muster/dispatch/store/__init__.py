"""SQL of dispatch-svc, each statement a constant above the function that runs it.

Locks are taken in one order: attempts and chunks by (tenant, bulk, chunk), then sagas by id; the tenants' advisory
locks come before all of them, in a statement of their own.
"""
