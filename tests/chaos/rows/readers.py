"""Consumers that come, go, sleep and stall in the middle of a batch."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from chaos.nemesis import Chaos, eventually, must
from chaos.registry import row
from chaos.rows.broker import metric
from chaos.storm import Storm

FIRST, OTHERS = "credit.worker.0", (1, 2)
ROUNDS, ROUND_S = 5, 5
SESSION_S = 3  # as the stack sets it
ZOMBIE_S = 26  # a transaction that nobody speaks in is ended after 20 s
STALL_S = 20


@contextmanager
def more_workers(chaos: Chaos, *numbers: int) -> Iterator[list[str]]:
    """More workers of credit-svc, for the length of this block."""
    names = [chaos.run(chaos.stack.add("credit", "worker", number)) for number in numbers]
    try:
        yield names
    finally:
        for name in names:
            chaos.stack.supervisor.release(name)
            chaos.run(chaos.stack.supervisor.end(name))


def epochs(chaos: Chaos) -> int:
    """How often partitions of credit-svc were taken over."""
    return int(chaos.sql("credit", "SELECT coalesce(sum(epoch), 0)::bigint AS n FROM consumer_offset")[0]["n"])


def goes_on(storm: Storm) -> None:
    """It sends once more."""
    done = storm.done["send"]
    eventually(lambda: storm.done["send"] > done, "the storm goes on")


@row("22", "a rebalance storm: one consumer, three, one, each 5 s, with a slow one among them", fires=2 * ROUNDS)
def members_come_and_go(chaos: Chaos) -> None:
    """Nothing is lost, and what is replayed is absorbed."""
    storm, before = Storm(chaos, tenants=2, pause_s=0.05), epochs(chaos)
    chaos.arm(**{FIRST: "consumer.before_commit:sleep=4@20"})
    with storm:
        for round_no in range(ROUNDS):
            with more_workers(chaos, *OTHERS) as names:
                time.sleep(ROUND_S)
                for name in names if round_no % 2 else ():
                    chaos.keep_dead(name)  # half of the times they go without a word
            chaos.fired["members came and went"] += len(OTHERS)
            time.sleep(ROUND_S)
    taken = epochs(chaos) - before
    must(taken > 2 * ROUNDS, f"partitions changed hands {taken} times")
    chaos.check_when_quiet(storm.balances)


@row("23", "a zombie consumer: stopped in a batch, past its session, and woken after another took over", fires=4)
def a_zombie_wakes(chaos: Chaos) -> None:
    """Its compare-and-set fails or its transaction is gone: it rolls back, and what it had in hand is applied once."""
    storms = [Storm(chaos, tenants=2, pause_s=0.1) for _ in range(2)]  # a business is opened while all is well
    naps = (("before_commit", ZOMBIE_S), ("after_commit", 2 * SESSION_S))
    for storm, (point, asleep_s) in zip(storms, naps, strict=True):
        chaos.arm(**{FIRST: f"consumer.{point}:stop@3"})
        with storm:
            sleeps_and_wakes(chaos, storm, asleep_s)
        chaos.check_when_quiet(storm.balances)


def sleeps_and_wakes(chaos: Chaos, storm: Storm, asleep_s: float) -> None:
    """The first worker stops itself; another comes; then it is woken."""
    pid = chaos.until_stopped(FIRST)
    before = epochs(chaos)
    with more_workers(chaos, 1):
        time.sleep(asleep_s)
        must(epochs(chaos) > before, "another took its partitions over while it slept")
        chaos.thaw(pid)
        joined = metric(chaos, FIRST, "consumer_assignments_total")
        goes_on(storm)
        eventually(lambda: lost(chaos, joined), "who slept finds out that it lost")
    chaos.fired["zombies that lost"] += 1


def lost(chaos: Chaos, joined: float) -> float:
    """How often the first worker was told that it owns a partition no more, has no transaction, or must join anew."""
    told = [metric(chaos, FIRST, f"consumer_{name}_total") for name in ("fenced", "retries")]
    return sum(told) + metric(chaos, FIRST, "consumer_assignments_total") - joined


@row("24", "an event loop that stands still for 20 s", fires=1)
def a_loop_stalls(chaos: Chaos) -> None:
    """The watchdog says so, another takes over meanwhile, and who stalled is fenced as a zombie is."""
    storm = Storm(chaos, tenants=2, pause_s=0.1)
    with more_workers(chaos, 1):
        chaos.arm(**{FIRST: f"loop.stall:sleep={STALL_S}@8"})
        before = epochs(chaos)
        with storm:
            stalls = eventually(lambda: metric(chaos, FIRST, "loop_stalls_total"), "the watchdog says so", 60.0)
            goes_on(storm)
        chaos.fired["stalls"] += int(stalls)
        must(epochs(chaos) > before, "another took its partitions over meanwhile")
    chaos.check_when_quiet(storm.balances)
