"""Processes that are told to end, whatever they are doing and whatever they need is dead."""

import os
import signal
import time

from chaos.nemesis import Chaos, eventually, is_our_child
from chaos.quiet import wait_until_quiet
from chaos.registry import row
from chaos.storm import Storm

DEPENDENCIES = ("", "postgres", "kafka", "carrier")
OUT_S = 30.0
PROCESSES = 13


@row("30", "SIGTERM in each state with each dependency dead", fires=2 * len(DEPENDENCIES) * PROCESSES - 16)
def ends_when_told(chaos: Chaos) -> None:
    """Every process is out within thirty seconds, at work or while it starts; what it leaves is as after a kill -9."""
    for dead in DEPENDENCIES:
        with Storm(chaos, tenants=2) as storm:
            eventually(lambda storm=storm: storm.done["send"] > 2, "the storm is on")
            if dead:
                chaos.keep_dead(dead)
                time.sleep(chaos.random.uniform(0, 2.0))  # the moment is what chance decides
            everybody_ends(chaos, f"at work without {dead or 'nothing'}")
            everybody_starts(chaos)
            everybody_ends(chaos, f"starting without {dead or 'nothing'}")
            for name in chaos.services():
                chaos.stack.supervisor.release(name)
            if dead:
                chaos.revive(dead)
            chaos.until_ready(*chaos.services(), within_s=180)
        wait_until_quiet(chaos)  # the next storm's businesses are heard of by all
        chaos.check_when_quiet(storm.balances)


def everybody_ends(chaos: Chaos, state: str) -> None:
    """SIGTERM to all processes of all services at once; they are left dead."""
    names = chaos.services()
    for name in names:
        chaos.stack.supervisor.hold(name)
    told = {}
    for name in names:
        pid = chaos.stack.pid(name)
        if not is_our_child(pid):  # it had ended by itself, and is held
            continue
        os.kill(pid, signal.SIGTERM)
        told[name] = pid
        chaos.fired[f"SIGTERM {state}"] += 1
    until = time.monotonic() + OUT_S
    for name, pid in told.items():
        chaos.until_ended(name, pid, max(0.0, until - time.monotonic()))


def everybody_starts(chaos: Chaos) -> None:
    """All of them start, and are in the middle of it."""
    before = {name: chaos.stack.pid(name) for name in chaos.services()}
    for name in before:
        chaos.stack.supervisor.release(name)
    eventually(lambda: all(chaos.stack.pid(name) != pid for name, pid in before.items()), "all are started again")
    time.sleep(chaos.random.uniform(0.5, 4.0))  # the moment is what chance decides
