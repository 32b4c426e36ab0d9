"""Starts all parts but the services in the folder named first: what `make run` does, without the product."""

import asyncio
import signal
import sys
from pathlib import Path

from muster.local.process import die_with_parent
from muster.local.stack import Stack
from muster.local.start import leave_running, run, say

if "with-parent" in sys.argv:
    die_with_parent(signal.SIGTERM)
sys.exit(asyncio.run(run(Stack(Path(sys.argv[1]), say=say, services=(), with_tenant=False), leave_running)))
