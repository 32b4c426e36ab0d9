"""What was in the form behind a check, so that a browser without scripts finds it again.

In memory and no longer than there is room: with scripts a browser keeps its own, and a quote keeps its text anyway.
"""

from collections import OrderedDict

from muster.console.draft import Draft

_KEPT_MAX = 2_000

Key = tuple[str, str]
"""Whose it is, and the quote that was made of it."""


class Drafts:
    """The newest drafts of all who write."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Key, Draft] = OrderedDict()

    def keep(self, user_id: str, quote_id: str, draft: Draft) -> None:
        """Keep a draft; the oldest one goes where there are too many."""
        self._kept[user_id, quote_id] = draft
        while len(self._kept) > _KEPT_MAX:
            self._kept.popitem(last=False)

    def of(self, user_id: str, quote_id: str) -> Draft | None:
        """The draft of a quote, if it is still here and this person's."""
        return self._kept.get((user_id, quote_id))

    def forget(self, user_id: str) -> None:
        """All of somebody who signs out."""
        for key in [key for key in self._kept if key[0] == user_id]:
            del self._kept[key]
