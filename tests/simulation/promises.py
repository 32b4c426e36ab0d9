"""What must hold in the histories that have chapters: schedules, hours, suspensions."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from muster.dispatch.settings import DispatchSettings
from simulation.carrier import Written
from simulation.chapters import Schedule, Turn
from simulation.story import Story, Tenant
from simulation.world import World

# How old an intent may be when it is written, and a moment on the way.
_GUARD_S: Final = DispatchSettings.model_fields["dispatch_guard_s"].default + 0.02
_ON_ITS_WAY_S: Final = 0.02
_SAVED_S: Final = 1.0
# "No submit leaves a second after the answer", where the answer could not promise exact counts.
_AFTER_ANSWER_S: Final = 1.0
_STARTS: Final = """
SELECT wall, at, outcome, bulk_id, code, decided_at FROM schedule_start WHERE schedule_id = $1 ORDER BY wall
"""
_SENDS: Final = "SELECT bulk_id, schedule_wall FROM bulk WHERE schedule_id = $1 ORDER BY schedule_wall"


def in_quiet_hours(world: World, story: Story) -> tuple[list[str], int]:
    """Nothing leaves in quiet hours of its recipient; and how many writes were looked at."""
    wrong, looked = [], 0
    for write, tenant in _marketing(world, story):
        if tenant.hours is None:
            continue
        looked += 1
        since_s = tenant.hours.quiet_s(write.destination, write.at)
        if since_s is not None and since_s > _GUARD_S:
            wrong.append(f"{write.destination} was written to at {write.at:.3f}, {since_s:.3f} s into quiet hours")
    return wrong, looked


def within_rate(world: World, story: Story) -> tuple[list[str], int]:
    """For who has a rate no more is written in any time than it lets be, over all processes; and how many writes were
    looked at. An intent may be written a while after it took its share."""
    wrong, looked = [], 0
    for tenant in story.tenants:
        times = sorted(one.at for one in world.writes if _is_same(one.source, tenant.sender)) if tenant.rate else []
        looked += len(times)
        for first, since in enumerate(times):
            for count, until in enumerate(times[first:], 1):
                if count > tenant.rate * (until - since + _SAVED_S + _GUARD_S):
                    wrong.append(f"{tenant.sender}: {count} parts from {since:.3f} to {until:.3f}, at {tenant.rate}/s")
    return wrong[:3], looked


def at_least_once(world: World, story: Story) -> tuple[list[str], int]:
    """What is no marketing, of who chose so, is taken three times at most, and said to be accepted once; and how many
    messages were."""
    times = Counter((one.destination, one.text) for one in world.taken if one.text.startswith("Notice"))
    return [f"{number} was sent {count} times: {text}" for (number, text), count in times.items() if count > 3], len(
        times
    )


def while_suspended(world: World, story: Story) -> tuple[list[str], int]:
    """Nothing leaves for whom an operator has suspended, or for anybody while the platform is stopped; and how many
    such times there were."""
    wrong = []
    senders = {tenant.id: tenant.sender for tenant in story.tenants}
    for silence in story.chapters.silences:
        since = silence.since + (_ON_ITS_WAY_S if silence.exact else _AFTER_ANSWER_S)
        for write in world.writes:
            theirs = silence.tenant_id is None or _is_same(write.source, senders[silence.tenant_id])
            if theirs and since < write.at < silence.until:
                wrong.append(f"{write.destination} was written to at {write.at:.3f}, stopped since {silence.since:.3f}")
    return wrong, len(story.chapters.silences)


def by_the_clock(world: World, story: Story) -> tuple[list[str], int]:
    """A schedule starts each time on the wall once, none before it and none too late; and how many were looked at."""
    wrong, looked = [], 0
    for schedule in story.chapters.schedules:
        assert world.turn is not None
        due = starts_of(schedule, world.turn)
        wrong += _decided(world, schedule, due)
        early = [write.at for write in world.writes if write.text.startswith(schedule.mark) and write.at < due[0][1]]
        wrong += [f"{schedule.mark}: written at {at:.3f}, before its time" for at in early]
        looked += len(due)
    return wrong, looked


def starts_of(schedule: Schedule, turn: Turn) -> list[tuple[str, float]]:
    """The times on the wall that a schedule has, with their moments; those that were past when it was made are none."""
    times = [(turn.at + timedelta(minutes=minute), turn.at_s + 60 * minute) for minute in (0, 1)]
    return [(wall.replace(tzinfo=None).isoformat(), at_s) for wall, at_s in times if at_s > schedule.made_at]


def _decided(world: World, schedule: Schedule, due: list[tuple[str, float]]) -> Iterator[str]:
    rows = world.cluster.look("customer", _STARTS, schedule.schedule_id)
    if (walls := [row["wall"].isoformat() for row in rows]) != [wall for wall, _ in due]:
        yield f"{schedule.mark} was to start at {due}, and did at {walls}"
    sends = [tuple(row) for row in world.cluster.look("customer", _SENDS, schedule.schedule_id)]
    if (started := [(row["bulk_id"], row["wall"]) for row in rows if row["outcome"] == "started"]) != sends:
        yield f"{schedule.mark} was started as {started}, and its sends are {sends}"
    for row in rows:
        late = (row["decided_at"] - row["at"]).total_seconds() > schedule.late_max_s
        if late != (row["outcome"] == "missed") or row["outcome"] not in ("started", "missed", "not_possible"):
            yield f"{schedule.mark}: {dict(row)}, of which late is what comes {schedule.late_max_s} s later"


def times_allowed(world: World, story: Story, text: str) -> int:
    """How often one number may get one text: once, but for what a schedule has started more often."""
    for schedule in story.chapters.schedules:
        if text.startswith(schedule.mark):
            return len(world.cluster.look("customer", _SENDS, schedule.schedule_id))
    return 1


def _marketing(world: World, story: Story) -> Iterator[tuple[Written, Tenant]]:
    for write in world.writes:
        for tenant in story.tenants:
            if write.text.startswith("Offer") and _is_same(write.source, tenant.sender):
                yield write, tenant


def _is_same(one: str, other: str) -> bool:
    return one.lstrip("+") == other.lstrip("+")
