"""tenant-svc: tenants and their settings, users, API keys, tokens and their keys, the audit log."""
