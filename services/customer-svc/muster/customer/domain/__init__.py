"""The decisions of customer-svc, pure: standard library and muster.text only. "No" is a value."""
