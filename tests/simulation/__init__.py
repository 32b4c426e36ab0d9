"""Whole histories of the real services with faults, each replayed exactly by its seed. See `world.py`.

`python -m tests.simulation` and pytest find its modules under one name.
"""

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
if str(TESTS) not in sys.path:
    sys.path.insert(0, str(TESTS))
