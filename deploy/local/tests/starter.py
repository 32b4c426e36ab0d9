"""Starts all parts but the services in the folder named first: what `make run` does, without the product."""

import asyncio
import signal
import sys
from pathlib import Path

from muster.local.__main__ import leave_running, run, say
from muster.local.process import die_with_parent
from muster.local.stack import Stack

if "with-parent" in sys.argv:
    die_with_parent(signal.SIGTERM)
sys.exit(asyncio.run(run(Stack(Path(sys.argv[1]), say=say, services=(), with_tenant=False), leave_running)))
