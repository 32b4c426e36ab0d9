"""What customer-svc does on each event."""
