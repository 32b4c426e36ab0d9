"""SQL, by what it is about: the ledger, the rates, and the laws that must hold over both."""
