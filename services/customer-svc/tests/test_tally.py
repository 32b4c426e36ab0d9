"""A tally of verdicts says what a look at everybody says, after any changes, and takes no more room than it may."""

import random
from array import array
from collections.abc import Sequence
from typing import Any

import pytest

from muster.customer.domain import tally
from muster.customer.domain.tally import DUPLICATE, Tally


def test_customers_whose_ids_are_far_from_each_other_are_not_kept_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "PAGES_MAX", 3)
    found = Tally()
    found.add_all("2", array("q", [1, 1_000, 100_000]))
    with pytest.raises(tally.Full):
        found.judge(10_000_000, "2", None)


class _Pages(dict[int, Any]):
    looks = 0

    def __getitem__(self, page: int) -> Any:
        self.looks += 1
        return super().__getitem__(page)


def test_when_hundreds_who_were_named_change_the_next_ones_are_found_in_one_pass() -> None:
    found, words = Tally(), [f"AU\x1f0\x1f{at}" for at in range(300)]
    for at, word in enumerate(words):
        found.add_all(word, array("q", [1 + at, 100_000 - at]))
    assert {one for _, _, one in found.counts()} == set(range(1, 301))
    for at in range(300):
        found.judge(1 + at, "2", None)
    found._pages = pages = _Pages(found._pages)

    assert {one for _, _, one in found.counts()} == {0, *range(100_000 - 299, 100_001)}
    assert pages.looks <= len(pages)


def _naive(judged: dict[int, tuple[str, int | None]]) -> list[tuple[str, int]]:
    found: dict[str, int] = {}
    first: dict[int, int] = {}
    for customer_id, (word, number) in judged.items():
        if "\x1f" in word and number is not None:
            first[number] = min(first.get(number, customer_id), customer_id)
    for customer_id, (word, number) in judged.items():
        texted = "\x1f" not in word or number is None or first[number] == customer_id
        counted = word if texted else DUPLICATE
        found[counted] = found.get(counted, 0) + 1
    return sorted((word, count) for word, count in found.items() if word)


def _counts(found: Tally, judged: dict[int, tuple[str, int | None]]) -> list[tuple[str, int]]:
    """Where somebody is named who is texted, they are."""
    for word, _, one_of in found.counts():
        number = judged[one_of][1] if one_of else None
        sharing = [one for one, (its, where) in judged.items() if where == number and "\x1f" in its]
        assert one_of == 0 or (judged[one_of][0] == word and (number is None or min(sharing) == one_of))
        assert (one_of > 0) == ("\x1f" in word)
    return [(word, count) for word, count, _ in found.counts()]


@pytest.mark.parametrize("seed", range(20))
def test_a_tally_says_what_a_look_at_everybody_says(seed: int) -> None:
    chance = random.Random(seed)
    words: Sequence[str] = ("2", "3", "4", "AU\x1f0\x1faaa", "AU\x1f0\x1faa", "US\x1f1\x1f")
    found, judged = Tally(), dict[int, tuple[str, int | None]]()
    ids = chance.sample(range(1, 2_000), 200)
    for word in words:
        alone = [customer_id for customer_id in ids[:150] if chance.random() < 0.2 and customer_id not in judged]
        found.add_all(word, array("q", alone))
        judged |= dict.fromkeys(alone, (word, None))
    for number in range(10):
        sharing = [customer_id for customer_id in ids[150:] if customer_id % 10 == number]
        word = chance.choice(words)
        found.add_sharing(word, number, sharing)
        judged |= dict.fromkeys(sharing, (word, number))
    found.count_sharing()
    assert _counts(found, judged) == _naive(judged)

    for _ in range(300):
        customer_id = chance.choice(ids)
        word, number = chance.choice((*words, "")), chance.choice((*range(12), None))
        found.judge(customer_id, word, number)
        judged[customer_id] = (word, number)
        assert _counts(found, judged) == _naive(judged)
    for word in words:
        assert list(found.of_verdict(word)) == sorted(one for one, (its, _) in judged.items() if its == word)
