"""BENCH=stop: one large send after another, each stopped at a random moment, and the sums that must be exact each time.

Exact means: every recipient has one end, reserved = used + released, the carrier has counted what the send says, the
report says the same, and the balance has fallen by what was used. Nothing reaches the carrier a second after that.
"""

import random
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from bench.carrier import Carrier
from bench.send import LAWS_WAIT_S, TEXT, WARM_UP, NotEnded, carrier_of, load
from muster.client import Connection, Muster
from muster.client.commands.laws import settled_laws
from muster.local.stack import Stack

LEFT: Final = ("accepted", "rejected", "unknown", "stopped", "suppressed")
REPORTED: Final = ("delivered", "undelivered", "expired", "rejected", "accepted", "unknown", "stopped", "suppressed")
SECOND_S: Final = 1.0
_WATCH_S: Final = 2.0
_BEGIN_WAIT_S: Final = 300.0
_END_WAIT_S: Final = 120.0
_LOOK_S: Final = 0.05


@dataclass(slots=True)
class Round:
    """One send and its stop. `answer`: the counts that the stop was answered with; `counts`, `credits`: the final ones.
    Times in milliseconds of this host's clock; `wrong` says what was not exact."""

    recipients: int
    stop_ms: int = 0
    answer: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    credits: dict[str, int] = field(default_factory=dict)
    submits: int = 0
    last_submit_after_ms: int = 0
    wrong: list[str] = field(default_factory=list)


def measure(stack: Stack, recipients: int, stops: int, seed: int) -> dict[str, Any]:
    """Load the audience, then send to all of it and stop, `stops` times."""
    run, moment = stack.run, random.Random(seed)
    carrier = carrier_of(run)
    who, tenant = run["operator"], run["tenants"][0]
    with (
        Muster(Connection(run["url"], who["client_id"], who["client_secret"])) as operator,
        Muster(Connection(run["url"], tenant["client_id"], tenant["client_secret"])) as muster,
    ):
        # Each stop comes before its send has used all; a larger top-up would wait for another operator.
        granted = (stops + 1) * (recipients + WARM_UP)
        operator.top_up(tenant["id"], granted, reason="bench", reference=f"bench-{time.time_ns()}")
        load(muster, WARM_UP + recipients)
        rounds = []
        for at in range(stops):
            rounds.append(one_round(muster, carrier, recipients, moment.uniform(0.02, 0.9)))
            print(f"stop {at + 1} of {stops}: {told(rounds[-1])}", file=sys.stderr, flush=True)
        laws = settled_laws(operator, LAWS_WAIT_S)
    return result(recipients, rounds) | {
        "laws": {law.name: law.violation_count for law in laws},
        "laws_checked": {law.name: law.checked for law in laws},
    }


def _is_sent(muster: Muster, bulk_id: str, count: float) -> bool:
    progress = muster.progress(bulk_id)
    if progress["state"] == "refused":
        raise NotEnded(f"the send was refused: {muster.bulk(bulk_id)['problem']}")
    return progress["sent"] >= count


def one_round(muster: Muster, carrier: Carrier, recipients: int, share: float) -> Round:
    """Send, stop when this share of the recipients has been sent to, and compare all that counts it."""
    carrier.reset()
    before = muster.credits()
    bulk_id = str(muster.send(muster.quote(TEXT, {"tag": "bench"})["id"])["id"])
    _until(lambda: _is_sent(muster, bulk_id, share * recipients), f"sent to {share:.0%}", _BEGIN_WAIT_S)
    one, asked = Round(recipients), time.time()
    one.answer = muster.control(bulk_id, "stop")["counts"]
    answered = time.time()
    one.stop_ms = round((answered - asked) * 1000)
    time.sleep(_WATCH_S)  # what is written in the second after the answer, and what comes later though it must not
    _until(lambda: muster.bulk(bulk_id)["state"] == "closed", "closed", _END_WAIT_S)
    _until(lambda: muster.progress(bulk_id)["state"] == "closed", "closed in the report", _END_WAIT_S)
    _until(lambda: muster.credits()["reserved"] == before["reserved"], "settled", _END_WAIT_S)
    final, seen = muster.bulk(bulk_id), carrier.seen(bulk_id)
    one.counts, one.submits = final["counts"], seen.submits
    one.credits = {name: final[f"credits_{name}"] for name in ("reserved", "used", "released", "held")}
    one.last_submit_after_ms = round((seen.last_s - answered) * 1000)
    one.wrong = list(wrongs(one, muster.progress(bulk_id), muster.credits()["available"] - before["available"]))
    return one


def wrongs(one: Round, progress: Mapping[str, Any], balance_change: int) -> list[str]:
    """Which sums of a stopped send do not agree; none if all do."""
    counts, credits = one.counts, one.credits
    left = sum(counts[name] for name in LEFT)
    sure = counts["accepted"] + counts["rejected"]
    sums = (
        ("messages with an end", left, "recipients", one.recipients),
        ("credits used, released and held", sum(credits[name] for name in ("used", "released", "held")), "reserved",
         credits["reserved"]),
        ("credits used", credits["used"], "fell from the balance", -balance_change),
        ("messages in the report", sum(progress[name] for name in REPORTED), "recipients", one.recipients),
        ("stopped in the report", progress["stopped"], "stopped", counts["stopped"]),
    )  # fmt: skip
    if not one.answer["submitting"]:  # else it said that a carrier still owed answers
        sums += (("written by the answer", _written(one.answer), "in the end", _written(counts)),)
    found = [f"{name}: {count}; {other_name}: {other}" for name, count, other_name, other in sums if count != other]
    if not sure <= one.submits <= sure + counts["unknown"]:
        found.append(f"the carrier counted {one.submits}, the send {sure} and {counts['unknown']} unknown")
    if one.last_submit_after_ms > SECOND_S * 1000:
        found.append(f"a message left {one.last_submit_after_ms} ms after the answer")
    return found


def _written(counts: Mapping[str, int]) -> int:
    return counts["accepted"] + counts["rejected"] + counts["unknown"]


def result(recipients: int, rounds: list[Round]) -> dict[str, Any]:
    """The JSON of the bench."""
    stop_ms = sorted(one.stop_ms for one in rounds)
    return {
        "bench": "stop",
        "recipients": recipients,
        "stops": len(rounds),
        "inexact": sum(bool(one.wrong) for one in rounds),
        "stop_ms_median": stop_ms[len(stop_ms) // 2],
        "stop_ms_max": stop_ms[-1],
        "last_submit_after_ms_max": max(one.last_submit_after_ms for one in rounds),
        "rounds": [asdict(one) for one in rounds],
    }


def told(one: Round) -> str:
    """A line for whoever waits."""
    sums = ", ".join(f"{one.counts[name]} {name}" for name in LEFT if one.counts[name])
    verdict = "; ".join(one.wrong) or "exact"
    owed = f", {one.answer['submitting']} on the wire" if one.answer["submitting"] else ""
    return f"answered in {one.stop_ms} ms{owed}; {sums}; {one.credits['released']} credits back; {verdict}"


def _until(seen: Callable[[], bool], says: str, within_s: float) -> None:
    until = time.monotonic() + within_s
    while not seen():
        if time.monotonic() > until:
            raise NotEnded(f"waited {within_s:.0f} s: {says}")
        time.sleep(_LOOK_S)
