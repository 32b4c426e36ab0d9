"""report-svc: the SMS Detail Report, projected from events."""
