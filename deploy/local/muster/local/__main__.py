"""`python -m muster.local run|demo`: what `make run` and `make demo` call."""

import signal
import sys

if __name__ == "__main__":
    # While all is being imported nothing runs yet: Ctrl-C just ends this, as it would a program that is not Python.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from muster.local.start import main

    sys.exit(main())
