"""credit-svc: the prepaid ledger. What is granted is available, reserved or consumed, at each version of an account."""
