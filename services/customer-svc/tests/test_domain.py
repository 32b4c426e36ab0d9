"""The decisions of customer-svc, by tables and properties."""

from datetime import UTC, datetime, timedelta
from itertools import product
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.customer.domain.customers import (
    Consent,
    NumberReader,
    field_key,
    match_key,
    read_mobiles,
    read_own_fields,
    settle_consent,
)
from muster.customer.domain.import_columns import Columns, read_header
from muster.customer.domain.importing import ImportRow, read_row
from muster.customer.domain.merge_text import SEPARATOR, MergeText
from muster.customer.domain.planning import FrozenChunk, Totals, add_up, make_chunk
from muster.customer.domain.pricing import Renderer, ValueClass, price
from muster.customer.domain.refusal import Refusal
from muster.customer.domain.sends import Heard, Phase, State, is_small, judge_send_by, state_of
from muster.customer.domain.suppression import Scope, Suppression, Wish, decide
from muster.customer.domain.tariff import Reach, Route, Tariff

TENANT = UUID(int=7)
READER = NumberReader(TENANT, "AU", b"k" * 32, 1)
TARIFF = Tariff({"AU": 1, "NZ": 2}, [Route("all", (), 8)])


def text_of(written: str) -> MergeText:
    text = MergeText.read(written)
    assert isinstance(text, MergeText)
    return text


def columns_of(*header: str) -> Columns:
    columns = read_header(header)
    assert isinstance(columns, Columns)
    return columns


@pytest.mark.parametrize(
    ("allow", "kind", "stored"),
    [
        (True, None, (True, Consent.INFERRED)),
        (False, None, (False, Consent.NONE)),
        (None, None, (None, Consent.NONE)),
        (True, Consent.EXPRESS, (True, Consent.EXPRESS)),
        (None, Consent.EXPRESS, (None, Consent.EXPRESS)),
        (True, Consent.WITHDRAWN, (False, Consent.WITHDRAWN)),
    ],
)
def test_a_tick_without_a_kind_claims_no_more_than_inferred_consent(
    allow: bool | None, kind: Consent | None, stored: tuple[bool | None, Consent]
) -> None:
    assert settle_consent(allow_bulk_sms=allow, consent=kind) == stored


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("First Name", "first_name"),
        ("  Pet's  name ", "pets_name"),
        ("2nd visit", "field_2nd_visit"),
        ("E-Mail", "e_mail"),
        ("名前", ""),
    ],
)
def test_the_key_of_an_own_field_can_stand_in_a_merge_field(name: str, key: str) -> None:
    assert field_key(name) == key


def test_own_fields_that_would_hide_a_standard_one_are_refused_by_name() -> None:
    refused = read_own_fields({"First name": "x", "pet": " Rex ", "blank": "  "})
    assert isinstance(refused, list)
    assert [one.field for one in refused] == ["own_fields.First name"]
    assert read_own_fields({"pet": " Rex ", "blank": "  "}) == {"pet": "Rex"}


def test_each_number_that_is_none_is_named_by_its_place() -> None:
    refused = read_mobiles(READER, ["0412 345 678", "banana", "02 9999 9999"])
    assert isinstance(refused, list)
    assert [(one.field, one.code) for one in refused] == [("mobiles[1]", "not_a_number"), ("mobiles[2]", "not_mobile")]


def test_a_number_written_twice_is_one_number() -> None:
    mobiles = read_mobiles(READER, ["0412 345 678", "+61 412 345 678"])
    assert [mobile.number for mobile in mobiles if not isinstance(mobile, Refusal)] == [61412345678]


def test_the_same_person_is_known_again_and_strangers_without_a_number_are_not_merged() -> None:
    assert match_key("Ana", "Smith", [2, 1], {}) == match_key("ANA", "smith", [1, 2], {"pet": "Rex"})
    assert match_key("Ana", "Smith", [1], {}) != match_key("Ana", "Jones", [1], {})
    assert match_key("Ana", "Smith", [], {"pet": "Rex"}) != match_key("Ana", "Smith", [], {"pet": "Tom"})


@pytest.mark.parametrize("header", ["Mobile", "phone", "Cell Phone", "Mobile number", "mobile_2", "Phone 3", "Tel."])
def test_a_column_of_numbers_is_known_by_many_names(header: str) -> None:
    assert columns_of("Name", header).mobiles == (1,)


def test_columns_that_nobody_knows_are_own_fields() -> None:
    columns = columns_of("First name", "Mobile", "Pet's name", "Allow Bulk SMS?")
    assert columns.own == (("pets_name", 2),)
    assert columns.single == {"first_name": 0, "allow_bulk_sms": 3}


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (("Name", "Town"), "no_mobile_column"),
        ((), "no_mobile_column"),
        (("Mobile", "First name", "Given name"), "repeated_column"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(header: tuple[str, ...], code: str) -> None:
    refused = read_header(header)
    assert isinstance(refused, Refusal)
    assert (refused.field, refused.code) == ("file", code)


ROW = columns_of("First name", "Last name", "Mobile", "Mobile 2", "Allow Bulk SMS", "Consent", "Tags", "Pet")


@pytest.mark.parametrize(
    ("cells", "errors"),
    [
        (("Ana", "S", "banana", "", "yes", "", "", ""), [("mobile", "Mobile", "not_a_number")]),
        (("Ana", "S", "", "12", "yes", "", "", ""), [("mobile", "Mobile 2", "invalid")]),
        (("Ana", "S", "", "", "perhaps", "", "", ""), [("allow_bulk_sms", "Allow Bulk SMS", "not_yes_or_no")]),
        (("Ana", "S", "", "", "", "sure", "", ""), [("consent", "Consent", "unknown_consent")]),
        (("A" * 201, "S", "", "", "", "", "", ""), [("first_name", "First name", "too_long")]),
        (("Ana", "S", "", "", "", "", "", "x" * 2001), [("pet", "Pet", "too_long")]),
        (("Ana", "S", "", "", "", "", "a" * 101, ""), [("tags", "Tags", "too_long")]),
        (("Ana", "S", "", "", "", "", "", "", "more"), [("row", "", "too_many_cells")]),
        (("Ana", "S", "x", "y", "maybe"), [
            ("mobile", "Mobile", "not_a_number"),
            ("mobile", "Mobile 2", "not_a_number"),
            ("allow_bulk_sms", "Allow Bulk SMS", "not_yes_or_no"),
        ]),
    ],
)  # fmt: skip
def test_a_bad_row_says_everything_that_is_wrong_with_it(
    cells: tuple[str, ...], errors: list[tuple[str, str, str]]
) -> None:
    found = read_row(ROW, READER, 3, cells)
    assert isinstance(found, list)
    assert [(one.field, one.column, one.code) for one in found] == errors
    assert {one.row for one in found} == {3}


def test_a_row_is_read_as_people_write_it() -> None:
    row = read_row(
        ROW, READER, 1, (" Ana ", "Smith", "0412 345 678", "+61 412 345 679", "Y", "", "vip; new,vip", "Rex")
    )
    assert isinstance(row, ImportRow)
    customer = row.customer
    assert (customer.first_name, customer.allow_bulk_sms, customer.consent) == ("Ana", True, Consent.INFERRED)
    assert [mobile.number for mobile in customer.mobiles] == [61412345678, 61412345679]
    assert (customer.tags, customer.own_fields) == (("vip", "new"), {"pet": "Rex"})


def test_a_short_row_is_blank_where_it_ends() -> None:
    row = read_row(ROW, READER, 1, ("Ana",))
    assert isinstance(row, ImportRow)
    assert (row.customer.allow_bulk_sms, row.consent_given) == (None, False)


@pytest.mark.parametrize(
    ("written", "code"),
    [("", "empty"), (" \n", "empty"), ("x" * 39_016, "too_long"), ("Hi {{first_name", "merge_syntax")],
)
def test_a_text_that_cannot_be_sent_names_the_field_text(written: str, code: str) -> None:
    refused = MergeText.read(written)
    assert isinstance(refused, Refusal)
    assert (refused.field, refused.code) == ("text", code)


def test_a_text_too_long_for_some_recipients_is_refused() -> None:
    refused = price(Renderer(text_of("{{name}}" * 20)), [ValueClass("AU", "x" * 2000, 1)], TARIFF)
    assert isinstance(refused, Refusal)
    assert (refused.field, refused.code) == ("text", "too_long")


def test_fields_with_a_fallback_are_not_required() -> None:
    text = text_of("{{a}} {{b|there}} {{a|x}}")
    assert (text.fields, text.required) == (("a", "b"), ("a",))
    assert text.render(f"Ana{SEPARATOR}") == "Ana there Ana"


def test_characters_of_the_merge_syntax_are_not_called_dearer() -> None:
    assert [(one.position, one.text) for one in text_of("Hi {{first_name}} 😀").dearer] == [(18, "😀")]


names = st.text("abcé€{Ω😀", min_size=1, max_size=40).map(lambda name: name.replace(SEPARATOR, ""))


@given(st.lists(st.tuples(names, st.sampled_from(["AU", "NZ"])), min_size=1, max_size=30))
def test_the_price_of_classes_is_the_sum_over_recipients_and_of_chunks(people: list[tuple[str, str]]) -> None:
    text = text_of("Dear {{name}}, " + "x" * 130)
    classes = [ValueClass(country, name, 1) for name, country in people]
    total = price(Renderer(text), classes, TARIFF)
    assert not isinstance(total, Refusal)
    renderer, before, upto = Renderer(text), Totals(), []
    for number, country in enumerate(("AU", "NZ"), 1):
        values = [name for name, where in people if where == country]
        ids = list(range(len(values)))
        frozen = FrozenChunk(number, country, ids, ids, [b""] * len(ids), values)
        if values:
            chunk = make_chunk(before, frozen, TARIFF.destination(country), renderer)
            after = add_up(before, frozen, TARIFF.destination(country), renderer)
            assert after == before.after(len(values), sum(chunk.parts), sum(chunk.prices))
            assert chunk.seqs == range(before.recipients + 1, after.recipients + 1)
            assert [chunk.texts[i] for i in chunk.text_index or [0] * len(values)] == [text.render(v) for v in values]
            upto += chunk.uptos
            before = after
    assert (before.recipients, before.parts, before.credits) == (total.recipients, total.parts, total.credits)
    assert upto == sorted(upto)
    assert upto[-1] == total.credits


def test_a_country_is_reached_by_its_own_route_and_rate_else_by_those_for_the_rest() -> None:
    tariff = Tariff({"AU": 1, "*": 3}, [Route("au", ("AU",), 16), Route("rest", (), 8)])
    assert (tariff.destination("AU").route, tariff.destination("AU").reference_bits) == ("au", 16)
    assert (tariff.destination("FR").route, tariff.destination("FR").credits_per_part) == ("rest", 3)
    assert tariff.reach == Reach(("AU",), (), True)


def test_a_country_without_rate_or_route_is_out_of_reach() -> None:
    tariff = Tariff({"AU": 1, "GB": 1}, [Route("au", ("AU", "NZ"), 8)])
    assert tariff.reach == Reach(("AU",), ("GB", "NZ"), False)
    with pytest.raises(KeyError):
        tariff.destination("GB")


def test_a_pinned_tariff_is_the_same_tariff() -> None:
    again = Tariff.unpin(TARIFF.pinned())
    assert again.reach == TARIFF.reach
    assert again.destination("NZ") == TARIFF.destination("NZ")


def test_a_route_that_names_the_sender_goes_before_one_that_names_the_country() -> None:
    routes = [
        Route("rest", (), 8),
        Route("au", ("AU",), 8),
        Route("salon", (), 16, ("Salon", "61400000001")),
        Route("salon-nz", ("NZ",), 8, ("Salon",)),
    ]
    tariff = Tariff({"*": 1}, routes)
    assert [tariff.destination(country).route for country in ("AU", "NZ")] == ["au", "rest"]
    theirs = tariff.within(None).of("Salon")
    assert [theirs.destination(country).route for country in ("AU", "NZ")] == ["salon", "salon-nz"]
    assert tariff.of("+61400000001").destination("NZ").reference_bits == 16
    again = Tariff.unpin(theirs.within(["NZ"]).pinned())
    assert (again.destination("NZ").route, again.reach.open) == ("salon-nz", ("NZ",))
    assert Tariff({"*": 1}, routes[:2]).of("Salon").destination("NZ").route == "rest"


def test_what_was_pinned_before_routes_had_senders_can_still_be_read() -> None:
    old = Tariff.unpin({"rates": {"AU": 1}, "routes": [["all", [], 16]]})
    assert (old.destination("AU").route, old.destination("AU").reference_bits) == ("all", 16)


NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (None, NOW + timedelta(days=1)),
        (NOW + timedelta(days=30), NOW + timedelta(days=30)),
        (NOW, "past"),
        (NOW + timedelta(days=30, seconds=1), "too_far"),
        (NOW.replace(tzinfo=None), "no_time_zone"),
    ],
)  # fmt: skip
def test_messages_leave_within_a_day_unless_said_and_30_days_at_most(
    asked: datetime | None, answer: datetime | str
) -> None:
    judged = judge_send_by(NOW, asked)
    assert (judged.code if isinstance(judged, Refusal) else judged) == answer


def test_the_small_lane_takes_500() -> None:
    assert (is_small(500), is_small(501)) == (True, False)


def test_the_state_of_a_send_is_defined_for_everything_that_can_be_heard() -> None:
    flags = (False, True)
    for phase, refused, control, dispatched, closed in product(
        Phase, flags, ("", "stop", "pause", "resume"), flags, flags
    ):
        state = state_of(Heard(phase, refused, control, dispatched, closed))
        assert isinstance(state, State)
        assert (state is State.CLOSED) == (closed or phase is Phase.WITHDRAWN)


@pytest.mark.parametrize(
    ("heard", "state"),
    [
        (Heard(Phase.PLANNING), "planning"),
        (Heard(Phase.NEEDS_CONFIRMATION), "needs_confirmation"),
        (Heard(Phase.PLANNING, control="stop"), "stopping"),
        (Heard(Phase.REQUESTED), "waiting"),
        (Heard(Phase.REQUESTED, control="pause"), "paused"),
        (Heard(Phase.REQUESTED, control="resume", dispatched=True), "sending"),
        (Heard(Phase.REQUESTED, credits_refused=True), "refused"),
        (Heard(Phase.REFUSED, control="stop"), "refused"),
        (Heard(Phase.REQUESTED, control="resume", dispatched=True, parked=True), "paused"),
        (Heard(Phase.REQUESTED, control="stop", parked=True), "stopping"),
    ],
)
def test_the_state_of_a_send(heard: Heard, state: str) -> None:
    assert state_of(heard) == state


@given(st.lists(st.builds(Wish, st.booleans(), st.sampled_from(Scope), st.just("reply")), max_size=8))
def test_the_last_wish_decides_and_no_opt_out_is_narrowed_by_another(wishes: list[Wish]) -> None:
    state = Suppression()
    for number, wish in enumerate(wishes, 1):
        before, state = state, decide(state, wish)
        assert (state.version, state.suppressed) == (number, wish.suppressed)
        if before.suppressed and wish.suppressed:
            assert state.scope == max(before.scope, wish.scope)
