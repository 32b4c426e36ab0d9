"""SQL of customer-svc: a constant above each function that runs it."""
