"""Whose chunk is next: deficit round robin by tenant and parts (Shreedhar and Varghese, 1995)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

# MessageKind.BULK of the events: everything else is somebody waiting for one message.
_BULK_KIND = 1


@dataclass(frozen=True, slots=True)
class Waiting:
    """An attempt that could be claimed. `parts` is what it costs of its tenant's turn; `saved` what its tenant may
    write now of all its attempts together, None where it has no rate."""

    tenant_id: UUID
    bulk_id: UUID
    chunk: int
    attempt: int
    parts: int
    lane: int
    kind: int
    account: str = ""
    saved: int | None = None

    @property
    def rank(self) -> tuple[bool, int, UUID, int, int]:
        """Within a tenant's turn: single before bulk, small before large, then by age (ids are in order of time)."""
        return *self.urgency, self.bulk_id, self.chunk, self.attempt

    @property
    def urgency(self) -> tuple[bool, int]:
        """What goes before a tenant's other messages, the smallest first."""
        return urgency(self.kind, self.lane)


def urgency(kind: int, lane: int) -> tuple[bool, int]:
    """Single before bulk, small before large; the smallest goes first."""
    return kind == _BULK_KIND, lane


@dataclass(frozen=True, slots=True)
class Turns:
    """What each waiting tenant has saved up in parts, in the order of their turns."""

    deficits: Mapping[UUID, int]

    def passed_on(self) -> "Turns":
        """The turns where the first tenant's is over by time: it is the last in the row, and has saved nothing."""
        others = dict(self.deficits)
        first = next(iter(others), None)
        if first is not None:
            del others[first]
            others[first] = 0
        return Turns(others)

    def choose(self, waiting: Iterable[Waiting], capacity: int, quantum: int) -> tuple["Turns", list[Waiting]]:
        """Attempts of at most `capacity` parts, and the turns after them.

        Each turn gives a tenant `quantum` parts; one with nothing waiting saves nothing. The first choice may exceed
        the capacity, so that nothing is too large to be sent.
        """
        queues: dict[UUID, list[Waiting]] = {}
        for item in waiting:
            queues.setdefault(item.tenant_id, []).append(item)
        for tenant, queue in queues.items():
            queue.sort(key=lambda item: item.rank, reverse=True)
            if queue[0].saved is not None:
                queues[tenant] = within_rate(queue, queue[0].saved)
        order = [tenant for tenant in self.deficits if tenant in queues]
        order += [tenant for tenant in queues if tenant not in self.deficits]
        return _serve(order, dict(self.deficits), queues, capacity, quantum)


def in_turns_of(parts: int, waiting: Iterable[Waiting]) -> list[Waiting]:
    """What waits, nothing of it costing more than one turn: more is not written of it before it gives way."""
    return [replace(item, parts=min(item.parts, parts)) for item in waiting]


def gives_way(tenant_id: UUID, its_urgency: tuple[bool, int], waiting: Iterable[Waiting]) -> bool:
    """Whether anybody waits for whom a tenant's chunk, having had its turn, gives way: another tenant, or what is more
    urgent of its own."""
    return any(item.tenant_id != tenant_id or item.urgency < its_urgency for item in waiting)


def within_rate(queue: Sequence[Waiting], saved: int) -> list[Waiting]:
    """As much of a tenant's queue as it may write now, its last first; each costs what may be written of it."""
    within = []
    for item in reversed(queue):
        if saved < 1:
            break
        within.append(replace(item, parts=min(item.parts, saved)))
        saved -= item.parts
    return within[::-1]


def _serve(
    order: list[UUID], saved: dict[UUID, int], queues: dict[UUID, list[Waiting]], capacity: int, quantum: int
) -> tuple[Turns, list[Waiting]]:
    chosen: list[Waiting] = []
    deficits = {tenant: saved.get(tenant, 0) for tenant in order}
    while order and capacity > 0:
        tenant = order.pop(0)
        queue = queues[tenant]
        deficits[tenant] += quantum
        while queue and queue[-1].parts <= deficits[tenant] and (queue[-1].parts <= capacity or not chosen):
            item = queue.pop()
            chosen.append(item)
            deficits[tenant] -= item.parts
            capacity -= item.parts
        if not queue:
            del deficits[tenant]
        elif queue[-1].parts > deficits[tenant]:
            deficits[tenant] = deficits.pop(tenant)  # the turn is over: to the end of the row
            order.append(tenant)
        else:
            # No room for it now: this tenant goes on here next time, without saving up for the wait.
            deficits[tenant] -= quantum
            break
    return Turns(deficits), chosen


NO_TURNS = Turns({})
