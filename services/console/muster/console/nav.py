"""What a role finds in the menu, in this order."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from muster.kit.permissions import Permission

SENDERS = Permission.SEND.roles
"""Who may send."""
TENANT = Permission.READ_SENDS.roles
"""Everybody of a business."""
OPERATOR = Permission.RUN_PLATFORM.roles
ANYONE = TENANT | OPERATOR


@dataclass(frozen=True)
class Entry:
    """A page of the menu: its path, its name (`nav.<name>` of the strings) and who finds it there."""

    path: str
    name: str
    roles: AbstractSet[str]

    def is_current(self, path: str) -> bool:
        """Whether a path is this page or one below it."""
        return path == self.path or (self.path != "/" and path.startswith(f"{self.path}/"))


ENTRIES = (
    Entry("/", "home", ANYONE),
    Entry("/compose", "compose", SENDERS),
    Entry("/sends", "sends", TENANT),
    Entry("/approvals", "approvals", SENDERS),
    Entry("/replies", "replies", TENANT),
    Entry("/customers", "customers", TENANT),
    Entry("/credits", "credits", TENANT),
    Entry("/operator/tenants", "tenants", OPERATOR),
    Entry("/operator/carriers", "carriers", OPERATOR),
    Entry("/operator/laws", "laws", OPERATOR),
    Entry("/operator/dead-letters", "letters", OPERATOR),
    Entry("/settings", "settings", ANYONE),
)
SETTINGS = (
    Entry("/settings", "settings", TENANT),
    Entry("/settings/me", "me", ANYONE),
    Entry("/settings/fields", "fields", TENANT),
    Entry("/settings/team", "team", Permission.MANAGE_TEAM.roles & TENANT),
    Entry("/settings/keys", "keys", Permission.MANAGE_KEYS.roles & TENANT),
    Entry("/settings/audit", "audit", Permission.READ_AUDIT.roles),
    Entry("/settings/roles", "roles", ANYONE),
)
"""The pages of the settings: `settings.tab_<name>` of the strings."""


def entries_for(role: str, entries: Iterable[Entry] = ENTRIES) -> tuple[Entry, ...]:
    """The menu of a role."""
    return tuple(one for one in entries if role in one.roles)
