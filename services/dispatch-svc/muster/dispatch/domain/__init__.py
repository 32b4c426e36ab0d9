"""The decisions of dispatch-svc, without I/O: standard library and muster.text only."""
