"""Which link carries which kind of account."""

from collections.abc import Callable
from typing import Final

from muster.dispatch.sender.http_link import HttpLink
from muster.dispatch.sender.link import Ears, Link
from muster.dispatch.sender.sandbox_link import SandboxLink
from muster.dispatch.sender.shared import Shared
from muster.dispatch.sender.smpp_link import SmppLink

# An adapter of another kind registers itself here: its account's `kind`, and what makes the link.
KINDS: Final[dict[str, Callable[[Shared, Ears], Link]]] = {
    "smpp": SmppLink,
    "http": HttpLink,
    "sandbox": SandboxLink,
}


def link_to(shared: Shared, ears: Ears) -> Link:
    """The link to the account that this sender has adopted."""
    return KINDS[shared.account.kind](shared, ears)
