"""What is under way between services: facts in any order, each delivered once or twice, so many at a time.

Kafka keeps the order of one partition, but nobody relies on it, so here nothing has an order. A fact that was delivered
may be kept for a second delivery, however late: a relay that crashed between the acknowledgement and its delete, a
consumer that crashed after its commit, a topic that is read again. A copy that is kept counts as in flight.
"""

from collections.abc import Hashable

Bus = tuple[int, ...]


class Facts:
    """Numbers for facts. On the bus, number * 2 waits for its first delivery, number * 2 + 1 for its second."""

    def __init__(self, most: int, copies: int) -> None:
        self.most = most
        self.copies = copies
        self._numbers: dict[Hashable, int] = {}
        self.known: list[tuple[str, Hashable]] = []
        self._deliveries: dict[Bus, list[tuple[int, Bus]]] = {}
        self._said: dict[tuple[Bus, tuple[int, ...]], Bus | None] = {}

    def number(self, kind: str, payload: Hashable = None) -> int:
        """The number of a fact."""
        fact = (kind, payload)
        found = self._numbers.get(fact)
        if found is None:
            found = self._numbers[fact] = len(self.known)
            self.known.append(fact)
        return found

    def fact(self, one: int) -> tuple[str, Hashable, str]:
        """What this one on the bus is: its kind, what it says, and " again" for a second delivery."""
        return (*self.known[one >> 1], " again" if one & 1 else "")

    def deliveries(self, bus: Bus) -> list[tuple[int, Bus]]:
        """Each that may come now, with the bus after it: without it, or with a copy for a second delivery."""
        found = self._deliveries.get(bus)
        if found is None:
            found = self._deliveries[bus] = []
            copies = sum(one & 1 for one in bus)
            for at, one in enumerate(bus):
                rest = (*bus[:at], *bus[at + 1 :])
                found.append((one, rest))
                if not one & 1 and copies < self.copies:
                    found.append((one, tuple(sorted((*rest, one + 1)))))
        return found

    def say(self, bus: Bus, said: tuple[int, ...]) -> Bus | None:
        """The bus with these facts on it; None where they would be too many at a time."""
        if not said:
            return bus
        key = (bus, said)
        if key not in self._said:
            fits = len(bus) + len(said) <= self.most
            self._said[key] = tuple(sorted((*bus, *(number * 2 for number in said)))) if fits else None
        return self._said[key]

    def names(self, bus: Bus) -> str:
        """What is under way, for people."""
        return ", ".join(f"{self.known[one >> 1][0]}{' (again)' if one & 1 else ''}" for one in bus) or "nothing"
