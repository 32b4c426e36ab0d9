"""The decisions of credit-svc, pure: standard library and muster.text only. "No" is a value."""
