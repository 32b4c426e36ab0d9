"""What must hold at the end of every history: the eight laws as `muster laws` judges them, and what the carrier saw."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from muster.client import laws
from simulation.client import OPERATOR, ask
from simulation.story import Send, Story
from simulation.world import World

_ACCEPTED, _UNKNOWN = 2, 3
_ON_ITS_WAY_S: Final = 0.02
_REPORT: Final = """
SELECT b.bulk_id::text AS bulk_id, r.seqs, r.numbers, r.texts, r.text_index, r.chunk
FROM recipients r JOIN bulk b USING (tenant_id, bulk_no)
"""
_MESSAGES: Final = """
SELECT b.bulk_id::text AS bulk_id, m.seq, m.left_state FROM message m JOIN bulk b USING (tenant_id, bulk_no)
"""


async def judge(world: World, story: Story) -> tuple[list[str], dict[str, int]]:
    """What is broken, in words, and how much each law was checked."""
    wrong: list[str] = []
    checked: Counter[str] = Counter()
    for law in await _laws(world):
        checked[law.name] += law.checked
        wrong += [f"law {law.name}: {violation}" for violation in law.violations]
    checked["carrier"] = len(world.carrier.taken)
    wrong += [
        *_twice(world),
        *_after_stop(world, story),
        *_against_report(world),
        *_granted(world, story),
        *_asked(world, story),
    ]
    wrong += [f"a process died of a bug: {death}" for death in world.deaths if not _may_die(death)]
    wrong += _set_aside(world)
    return wrong, dict(checked)


async def _laws(world: World) -> list[laws.Law]:
    """By the client's own comparison, over what each service serves."""
    answers: dict[str, Any] = {}
    for service in laws.SERVICES:
        for what in ("laws", "bulks"):
            path = f"/v1/ops/{service}/{what}"
            if what == "laws" or service in ("credit", "dispatch", "report"):
                asked = path if what == "laws" else f"{path}?limit=100"
                status, answers[path] = await ask(world, OPERATOR, "GET", asked, service=service)
                assert status == 200, f"{path}: {status}"
    # Messages are asked for where sums differ, to name one of them; here the send is enough: its seed shows the rest.
    return laws.check_laws(lambda path: answers[path], lambda path, **_: answers.get(path, {"items": []})["items"])


def _twice(world: World) -> Iterator[str]:
    """Nobody gets it twice: the carrier's own book."""
    for (number, text), times in Counter((one.destination, one.text) for one in world.carrier.taken).items():
        if times > 1 and text.startswith("Offer"):
            yield f"the carrier accepted {times} times for {number}: {text[:30]}"


def _after_stop(world: World, story: Story) -> Iterator[str]:
    """Stop works: nothing is written behind an answer with exact counts."""
    for send in story.sends:
        quiet = list(send.silent)
        if send.stopped_at is not None:
            quiet.append((send.stopped_at, float("inf")))
        for since, until in quiet:
            late = [at for at, text in _writes_of(world, send) if since + _ON_ITS_WAY_S < at < until]
            if late:
                yield f"{send.mark}: {len(late)} written after {since:.3f}, first at {late[0]:.3f}"


def _writes_of(world: World, send: Send) -> list[tuple[float, str]]:
    return [(at, text) for at, _, text in world.carrier.writes if text.startswith(f"{send.mark} ")]


def _against_report(world: World) -> Iterator[str]:
    """What the report says of a message is what the carrier did with it."""
    taken = {(one.destination.lstrip("+"), one.text) for one in world.carrier.taken}
    left = {(row["bulk_id"], row["seq"]): row["left_state"] for row in world.cluster.look("report", _MESSAGES)}
    for row in world.cluster.look("report", _REPORT):
        for seq, number, index in zip(
            row["seqs"], row["numbers"], row["text_index"] or [0] * len(row["seqs"]), strict=True
        ):
            state = left.get((row["bulk_id"], seq), 0)
            was_taken = (str(number), row["texts"][index]) in taken
            if was_taken and state not in (_ACCEPTED, _UNKNOWN):
                yield f"{row['bulk_id']}-{seq} was taken by the carrier, and the report says {state}"
            if state == _ACCEPTED and not was_taken:
                yield f"{row['bulk_id']}-{seq} is accepted in the report, and the carrier never took it"


def _granted(world: World, story: Story) -> Iterator[str]:
    """No credit is made by a repeated top-up, and none is lost."""
    granted = world.cluster.look("credit", "SELECT coalesce(sum(granted), 0) FROM account")[0][0]
    if granted != story.granted:
        yield f"{story.granted} credits were granted, and the ledger has {granted}"


def _asked(world: World, story: Story) -> Iterator[str]:
    """One confirmation makes one send, however often it is repeated."""
    made = {str(row[0]) for row in world.cluster.look("customer", "SELECT bulk_id FROM bulk WHERE kind = 1")}
    asked = {send.bulk_id for send in story.sends}
    if made != asked:
        yield f"{len(asked)} sends were confirmed, and there are {len(made)}"


def _may_die(death: str) -> bool:
    """What a process is meant to end for: its lock, its lease or its account is another's."""
    return any(
        word in death
        for word in ("ConnectionDoesNotExistError", "TakenOver", "OSError", "Overloaded", "LockNotAvailable")
    )


def _set_aside(world: World) -> Iterator[str]:
    """Nothing is poison here, and no log is ever another."""
    for service in world.services():
        for table in ("dead_letter", "consumer_halt"):
            for row in world.cluster.look(service, f"SELECT * FROM {table} LIMIT 3"):
                yield f"{service} has a {table}: {dict(row)}"[:500]
