"""What each customer of an audience was counted as, so that after a change only some have to be judged again.

A verdict is a word: a reason, or what a recipient's text costs by, with a separator in it. Of those who share a number
the one with the least id is texted; the others count as duplicates, whatever they were judged.
"""

from array import array
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from muster.customer.domain.audience import Reason
from muster.customer.domain.merge_text import SEPARATOR

DUPLICATE: Final = str(int(Reason.DUPLICATE_NUMBER))
VERDICTS_MAX: Final = 20_000
"""Different ones, of one audience."""
PAGES_MAX: Final = 100_000
"""Of 128 customers each, or fewer, where ids are far from each other: 44 MB."""
# 128 customers in a row take 256 octets of verdicts, where ids are as near to each other as after an import.
_PAGE_BITS: Final = 7
_PAGE: Final = 1 << _PAGE_BITS
_PAGE_BYTES: Final = 2 * _PAGE + 64 + 120
_SHARING_BYTES: Final = 350
_VERDICT_BYTES: Final = 250
_NOBODY: Final = array("H", bytes(2 * _PAGE))


class Full(Exception):
    """There are more different verdicts, or ids that are farther from each other, than are kept."""


class Tally:
    """Verdicts by customer, and how many customers there are of each."""

    def __init__(self) -> None:
        self._words = [""]  # what 0 stands for: not in the audience
        self._places: dict[str, int] = {"": 0}
        self._counts = [0]
        self._pages: dict[int, array[int]] = {}
        # Of those alone whose number somebody else has, or had.
        self._number_of: dict[int, int] = {}
        self._sharing: dict[int, set[int]] = {}
        # By verdict somebody who is texted.
        self._shown: dict[int, int] = {}

    @property
    def octets(self) -> int:
        """About what it takes in memory."""
        return (
            len(self._pages) * _PAGE_BYTES
            + len(self._number_of) * _SHARING_BYTES
            + sum(map(len, self._words))
            + len(self._words) * _VERDICT_BYTES
        )

    def counts(self) -> list[tuple[str, int, int]]:
        """How many there are of each verdict, by the word, and one of those who are texted, else 0; none of which there
        is nobody."""
        self._find_shown()
        return sorted(
            (word, self._counts[at], self._shown.get(at, 0)) for at, word in enumerate(self._words) if self._has(at)
        )

    def _has(self, place: int) -> bool:
        return place > 0 and self._counts[place] > 0

    def _find_shown(self) -> None:
        """Find somebody for each verdict whose one is not among them any more, all in one pass: hundreds may be."""
        missing = {
            at for at, word in enumerate(self._words) if at not in self._shown and self._has(at) and SEPARATOR in word
        }
        for page in sorted(self._pages) if missing else ():
            verdicts = self._pages[page]
            if missing.isdisjoint(verdicts):
                continue
            for customer_id, place in enumerate(verdicts, page << _PAGE_BITS):
                if place in missing and self._is_texted(customer_id):
                    self._shown[place] = customer_id
                    missing.remove(place)
            if not missing:
                return

    def _is_texted(self, customer_id: int) -> bool:
        number = self._number_of.get(customer_id)
        return number is None or min(self._sharing[number]) == customer_id

    def show(self, word: str, customer_id: int) -> None:
        """Let this be the one who is named of those who are texted, as long as they are."""
        if SEPARATOR in word:
            self._shown[self._place(word)] = customer_id

    def of_verdict(self, word: str) -> Iterator[int]:
        """Who was judged so, the oldest first."""
        place = self._places.get(word)
        if place is None:
            return
        for page in sorted(self._pages):
            verdicts = self._pages[page]
            if place in verdicts:
                first = page << _PAGE_BITS
                yield from (first + at for at, verdict in enumerate(verdicts) if verdict == place)

    def add_all(self, word: str, ids: "array[int]") -> None:
        """Judge customers alike who were not judged before and share no number with anybody."""
        place = self._place(word)
        self._counts[place] += len(ids)
        at, page = -1, _NOBODY
        for customer_id in ids:
            if customer_id >> _PAGE_BITS != at:
                at = customer_id >> _PAGE_BITS
                page = self._page(at)
            page[customer_id & _PAGE - 1] = place

    def add_sharing(self, word: str, number: int, ids: Iterable[int]) -> None:
        """Judge customers alike who were not judged before and are all texted at one number. `count_sharing` has to
        follow."""
        place = self._place(word)
        for customer_id in ids:
            self._put(customer_id, place)
            if SEPARATOR in word:
                self._number_of[customer_id] = number
                self._sharing.setdefault(number, set()).add(customer_id)
            else:
                self._counts[place] += 1

    def count_sharing(self) -> None:
        """Count those who share numbers, once all of them were added."""
        for group in self._sharing.values():
            self._count(group, 1)

    def judge(self, customer_id: int, word: str, number: int | None) -> None:
        """Judge one customer, anew or for the first time. word: empty for who is not in the audience any more. number:
        where they are texted."""
        place, where = self._place(word), number if SEPARATOR in word else None
        if place == self._verdict(customer_id) and where is not None and where == self._number_of.get(customer_id):
            return
        self._leave(customer_id)
        self._put(customer_id, place)
        if where is None:
            self._counts[place] += 1
            return
        group = self._sharing.setdefault(where, set())
        self._count(group, -1)
        group.add(customer_id)
        self._number_of[customer_id] = where
        self._count(group, 1)

    def _leave(self, customer_id: int) -> None:
        number = self._number_of.pop(customer_id, None)
        if number is None:
            self._counts[self._verdict(customer_id)] -= 1
            self._hide(customer_id)
            return
        group = self._sharing[number]
        self._count(group, -1)
        group.remove(customer_id)
        self._count(group, 1)
        if not group:
            del self._sharing[number]

    def _count(self, group: Collection[int], times: int) -> None:
        if group:
            first = min(group)
            self._counts[self._verdict(first)] += times
            self._counts[self._place(DUPLICATE)] += times * (len(group) - 1)
            if times < 0:
                self._hide(first)

    def _hide(self, customer_id: int) -> None:
        place = self._verdict(customer_id)
        if self._shown.get(place) == customer_id:
            del self._shown[place]

    def _verdict(self, customer_id: int) -> int:
        page = self._pages.get(customer_id >> _PAGE_BITS)
        return page[customer_id & _PAGE - 1] if page is not None else 0

    def _put(self, customer_id: int, place: int) -> None:
        self._page(customer_id >> _PAGE_BITS)[customer_id & _PAGE - 1] = place

    def _page(self, at: int) -> "array[int]":
        page = self._pages.get(at)
        if page is None:
            if len(self._pages) >= PAGES_MAX:
                raise Full
            page = self._pages[at] = array("H", _NOBODY)
        return page

    def _place(self, word: str) -> int:
        place = self._places.get(word)
        if place is None:
            if len(self._words) > VERDICTS_MAX:
                raise Full
            place = self._places[word] = len(self._words)
            self._words.append(word)
            self._counts.append(0)
        return place
