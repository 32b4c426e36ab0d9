"""Which account a chunk goes by, as a table of cases and properties of the draw."""

from collections import Counter
from typing import Any
from uuid import UUID

import pytest

from muster.dispatch.domain.routing import (
    Hindrance,
    Needs,
    Route,
    Table,
    Target,
    Way,
    key_of,
    percents,
    wrong,
)

SEND = UUID(int=7)


def route(name: str, *targets: str, countries: str = "", senders: str = "", **members: Any) -> Route:
    pairs = [target.partition("=") for target in targets]
    return Route(
        name,
        tuple(Target(account, int(weight or 1)) for account, _, weight in pairs),
        frozenset(countries.split()),
        frozenset(senders.split()),
        **members,
    )


def table(*routes: Route, **ways: Any) -> Table:
    """`ways`: bits, or (state, bits, share), of accounts; those that are named and not given are open with 8 bits."""
    given = {name: way if isinstance(way, tuple) else ("open", way, 100) for name, way in ways.items()}
    names = {target.account for one in routes for target in one.targets}
    every = {name: given.get(name, ("open", 8, 100)) for name in names | set(given)}
    return Table(
        {one.name: one for one in routes},
        {name: Way(name, state, bits, share) for name, (state, bits, share) in every.items()},
    )


def needs(country: str = "AU", sender: str = "Salon", *, bits: int = 8, long: bool = False) -> Needs:
    return Needs(country, sender, bits, long)


def drawn(asked: Table, what: Needs, chunks: int = 2_000) -> Counter[str]:
    found = [asked.choose(what, key_of(SEND, at)) for at in range(chunks)]
    return Counter(one.account for one in found if one is not None)


@pytest.mark.parametrize(
    ("country", "sender", "expected"),
    [
        ("AU", "Salon", "both"),
        ("NZ", "Salon", "sender"),
        ("AU", "Other", "country"),
        ("NZ", "Other", "default"),
        ("AU", "+61400", "number"),
        ("US", "61400", "number"),
    ],
)
def test_a_sender_says_more_than_a_country_and_both_more_than_one(country: str, sender: str, expected: str) -> None:
    routes = (
        route("default", "a"),
        route("country", "a", countries="AU GB"),
        route("sender", "a", senders="Salon"),
        route("both", "a", countries="AU", senders="Salon"),
        route("number", "a", senders="61400"),
        route("shut", "a", countries="NZ", senders="Other", is_open=False),
        route("only-others", "a"),
    )
    found = table(*routes).find(country, sender)
    assert found is not None
    assert found.name == expected


def test_weights_are_kept_and_the_same_chunk_always_goes_the_same_way() -> None:
    asked = table(route("default", "a=3", "b=1", "c=0"))
    found = drawn(asked, needs())
    assert 0.71 < found["a"] / 2_000 < 0.79
    assert found["b"] == 2_000 - found["a"]
    assert drawn(asked, needs()) == found


def test_an_account_that_comes_or_goes_changes_nothing_but_its_own() -> None:
    before, after = table(route("default", "a=2", "b=1")), table(route("default", "a=2", "b=1", "c=1"))
    for at in range(500):
        key = key_of(SEND, at)
        old, new = before.choose(needs(), key), after.choose(needs(), key)
        assert old is not None
        assert new is not None
        assert new.account in (old.account, "c")


def test_an_account_that_is_ill_is_replaced_and_one_that_mends_gets_its_share_of_its_own() -> None:
    def found(share: int) -> Counter[str]:
        return drawn(table(route("default", "a=1", "b=1"), a=("open", 8, share)), needs())

    well, ill, mending = found(100), found(0), found(25)
    assert ill == {"b": 2_000}
    assert 0.2 * well["a"] < mending["a"] < 0.3 * well["a"]


def test_one_that_stands_by_gets_what_no_other_of_its_route_takes_and_the_failover_what_it_does_not() -> None:
    first, second = route("default", "a=1", "b=0", failover="spare"), route("spare", "c")
    assert drawn(table(first, second), needs()) == {"a": 2_000}
    assert drawn(table(first, second, a=("draining", 8, 100)), needs()) == {"b": 2_000}
    assert drawn(table(first, second, a=("open", 8, 0), b=("closed", 8, 100)), needs()) == {"c": 2_000}
    mending = drawn(table(first, second, a=("open", 8, 10)), needs())
    assert 0.07 < mending["a"] / 2_000 < 0.13
    assert mending["b"] == 2_000 - mending["a"]


def test_a_long_message_goes_to_no_account_that_could_need_a_part_more() -> None:
    asked = table(route("default", "wide=1", "narrow=1"), wide=16)
    assert drawn(asked, needs(long=True)) == {"narrow": 2_000}
    assert drawn(asked, needs(bits=16, long=True)).keys() == {"wide", "narrow"}
    assert drawn(asked, needs(long=False)).keys() == {"wide", "narrow"}


def test_where_no_account_can_take_it_it_waits_at_the_one_that_will_soonest_by_its_own_route() -> None:
    first, second = route("default", "a", "b", failover="spare"), route("spare", "c")

    def waits(**ways: Any) -> Counter[str]:
        return drawn(table(first, second, **ways), needs(long=True))

    assert waits(a=("closed", 8, 100), b=("draining", 8, 100), c=("draining", 8, 100)) == {"b": 2_000}
    assert waits(a=16, b=("closed", 8, 100), c=("open", 8, 0)) == {"c": 2_000}
    assert waits(a=16, b=16, c=16).keys() == {"a", "b"}


def test_without_a_route_of_its_own_a_chunk_goes_by_the_one_it_was_priced_for() -> None:
    asked = table(route("west", "a", countries="NZ", is_open=False))
    found = asked.choose(needs(), key_of(SEND, 1), named="west")
    assert found is not None
    assert found.account == "a"
    assert asked.choose(needs(), key_of(SEND, 1), named="gone") is None


def test_what_a_test_says_is_what_chunks_do() -> None:
    asked = table(route("default", "a=3", "b=1", "c=0"), b=("draining", 8, 100))
    told = {(one.account, one.hindrance): percent for one, percent in percents(asked.options(needs()))}
    assert told == {("a", Hindrance.NONE): 100, ("b", Hindrance.DRAINING): 0, ("c", Hindrance.NONE): 0}
    even = dict.fromkeys("ab", 50)
    found = {one.account: percent for one, percent in percents(table(route("default", "a", "b")).options(needs()))}
    assert all(abs(found[name] - even[name]) < 5 for name in even)


@pytest.mark.parametrize(
    ("given", "field", "code", "word"),
    [
        (route("west", "a=0", "b=0", countries="NZ"), "accounts", "weight_zero", "weight above 0"),
        (route("west", "a", "a", countries="NZ"), "accounts.1.account", "twice", "a is named twice"),
        (route("west", "a", "nobody", countries="NZ"), "accounts.1.account", "not_found", "nobody"),
        (route("west", "shut", countries="NZ"), "accounts.0.account", "carrier_closed", "shut"),
        (route("west", "a", failover="west"), "failover", "cycle", "west → west"),
        (route("east", "a", failover="west"), "failover", "cycle", "east → west → north → east"),
        (route("west", "a", failover="nowhere"), "failover", "not_found", "nowhere"),
        (route("default", "a", countries="AU"), "countries", "default_route", ""),
        (route("default", "a", senders="Salon"), "senders", "default_route", ""),
        (route("default", "a", is_open=False), "open", "default_route", ""),
        (route("new", "a", countries="GB AU"), "countries", "overlaps", "au"),
        (route("new", "a", countries="AU", senders="Salon"), "countries", "overlaps", "au-salon"),
        (route("new", "a", senders="Salon Other"), "senders", "overlaps", "salon"),
    ],
)
def test_what_could_not_be_meant_is_refused_by_its_field(given: Route, field: str, code: str, word: str) -> None:
    others = table(
        route("default", "a"),
        route("au", "a", countries="AU"),
        route("au-salon", "a", countries="AU US", senders="Salon"),
        route("salon", "a", senders="Salon"),
        route("west", "a", failover="north"),
        route("north", "a", failover="east"),
        b=8,
        shut=("closed", 8, 100),
    )
    found = wrong(given, others)
    assert found is not None
    assert (found.field, found.code) == (field, code)
    assert word in found.message


@pytest.mark.parametrize(
    "given",
    [
        route("default", "a=1", "b=0", failover="au"),
        route("au", "a", countries="AU NZ"),
        route("new", "a", countries="AU", senders="Salon"),
        route("new", "a", countries="AU", is_open=False),
        route("new", "a", failover="default"),
    ],
)
def test_what_can_be_meant_may_stand(given: Route) -> None:
    assert wrong(given, table(route("default", "a"), route("au", "a", countries="AU"), b=8)) is None
