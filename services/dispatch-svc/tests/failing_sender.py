"""A sender in a process of its own, with a failpoint armed: `failing_sender.py app_dsn worker_dsn port failpoint`."""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import dispatch_world as world

from muster.kit.pg import Database


async def main(app_dsn: str, worker_dsn: str, port: str, failpoint: str) -> None:
    db = await Database.connect(app_dsn, worker_dsn)
    async with world.sending(db, world.settings(carrier_port=int(port), failpoint=failpoint)):
        await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
