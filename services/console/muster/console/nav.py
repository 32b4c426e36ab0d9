"""What a role finds in the menu, in this order."""

from dataclasses import dataclass

SENDERS = frozenset({"admin", "manager"})
"""Who may send."""
TENANT = frozenset({"admin", "manager", "staff"})
"""Everybody of a business."""
OPERATOR = frozenset({"operator"})
ANYONE = TENANT | OPERATOR


@dataclass(frozen=True)
class Entry:
    """A page of the menu: its path, its name (`nav.<name>` of the strings) and who finds it there."""

    path: str
    name: str
    roles: frozenset[str]

    def is_current(self, path: str) -> bool:
        """Whether a path is this page or one below it."""
        return path == self.path or (self.path != "/" and path.startswith(f"{self.path}/"))


ENTRIES = (
    Entry("/", "home", ANYONE),
    Entry("/compose", "compose", SENDERS),
    Entry("/sends", "sends", TENANT),
)


def entries_for(role: str) -> tuple[Entry, ...]:
    """The menu of a role."""
    return tuple(one for one in ENTRIES if role in one.roles)
