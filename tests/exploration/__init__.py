"""Every state that the pure cores can reach within bounds, and the laws in each: `python -m tests.exploration`."""

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
if str(TESTS) not in sys.path:  # for what it shares with the other levels of the proof
    sys.path.insert(0, str(TESTS))
