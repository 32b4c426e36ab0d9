"""What must hold at the end of every history: the eight laws as `muster laws` judges them, and what the carrier saw."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, Final

from muster.client import laws
from simulation.client import OPERATOR, ask
from simulation.promises import at_least_once, by_the_clock, in_quiet_hours, times_allowed, while_suspended, within_rate
from simulation.story import Send, Story
from simulation.world import World

_ACCEPTED, _UNKNOWN = 2, 3
_ON_ITS_WAY_S: Final = 0.02
_CHAPTERS: Final = {
    "hours": in_quiet_hours,
    "suspended": while_suspended,
    "schedule": by_the_clock,
    "rate": within_rate,
    "at least once": at_least_once,
}
_REPORT: Final = """
SELECT b.bulk_id::text AS bulk_id, r.seqs, r.numbers, r.texts, r.text_index, r.chunk
FROM recipients r JOIN bulk b USING (tenant_id, bulk_no)
"""
_MESSAGES: Final = """
SELECT b.bulk_id::text AS bulk_id, m.seq, m.left_state FROM message m JOIN bulk b USING (tenant_id, bulk_no)
"""
_STARTED: Final = "SELECT bulk_id FROM schedule_start WHERE bulk_id IS NOT NULL"


async def judge(world: World, story: Story) -> tuple[list[str], dict[str, int]]:
    """What is broken, in words, and how much each law was checked."""
    wrong: list[str] = []
    checked: Counter[str] = Counter()
    for law in await _laws(world):
        checked[law.name] += law.checked
        wrong += [f"law {law.name}: {violation}" for violation in law.violations]
    checked["carrier"] = len(world.taken)
    for law, look in _CHAPTERS.items():
        found, checked[law] = look(world, story)
        wrong += [f"law {law}: {one}" for one in found]
    wrong += [
        *_twice(world, story),
        *_after_stop(world, story),
        *_against_report(world, story),
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


def _twice(world: World, story: Story) -> Iterator[str]:
    """Nobody gets it twice, by whichever account: the carriers' own books."""
    for (number, text), times in Counter((one.destination, one.text) for one in world.taken).items():
        if times > 1 and text.startswith("Offer") and times > times_allowed(world, story, text):
            yield f"carriers accepted {times} times for {number}: {text[:30]}"


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
    return [(one.at, one.text) for one in world.writes if one.text.startswith(f"{send.mark} ")]


def _against_report(world: World, story: Story) -> Iterator[str]:
    """What the report says of the messages of one text to one number is what carriers did with them; what is no
    marketing, of who chose at least once, may have come twice more."""
    again = 2 if any(tenant.notices for tenant in story.tenants) else 0
    taken = Counter((one.destination.lstrip("+"), one.text) for one in world.taken)
    said: dict[tuple[str, str], list[int]] = defaultdict(list)
    left = {(row["bulk_id"], row["seq"]): row["left_state"] for row in world.cluster.look("report", _MESSAGES)}
    for row in world.cluster.look("report", _REPORT):
        for seq, number, index in zip(
            row["seqs"], row["numbers"], row["text_index"] or [0] * len(row["seqs"]), strict=True
        ):
            said[str(number), row["texts"][index]].append(left.get((row["bulk_id"], seq), 0))
    for (number, text), states in said.items():
        times, accepted = taken[number, text], states.count(_ACCEPTED)
        most = accepted + states.count(_UNKNOWN) + (0 if text.startswith("Offer") else again)
        if not accepted <= times <= most:
            yield f"{number} was sent {times} times, and the report says {states}: {text[:30]}"


def _granted(world: World, story: Story) -> Iterator[str]:
    """No credit is made by a repeated top-up, and none is lost."""
    granted = world.cluster.look("credit", "SELECT coalesce(sum(granted), 0) FROM account")[0][0]
    if granted != story.granted:
        yield f"{story.granted} credits were granted, and the ledger has {granted}"


def _asked(world: World, story: Story) -> Iterator[str]:
    """One confirmation makes one send, however often it is repeated."""
    made = {str(row[0]) for row in world.cluster.look("customer", "SELECT bulk_id FROM bulk WHERE kind = 1")}
    asked = {send.bulk_id for send in story.sends}
    asked |= {str(row[0]) for row in world.cluster.look("customer", _STARTED)}
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
