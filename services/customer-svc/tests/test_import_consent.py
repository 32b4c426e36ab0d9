"""Consent in files: none is invented, evidence is of what it was stated for, who withdrew is stopped and stays so."""

from typing import Any

import pytest
from test_consents import reasons, words
from test_import_choices import load, people
from test_suppressions import hash_of, opt_out

from muster.customer.handlers import facts as handlers
from muster.customer.settings import CustomerSettings

HEADER = "First name,Mobile,Allow Bulk SMS,Consent"
EXPRESS = {"consent": "express", "consent_source": "paper form", "consent_wording": "Text me offers"}
INFERRED = {"consent": "inferred", "consent_source": "till"}
OURS, FORM, TILL = ("import", ""), ("import: paper form", "Text me offers"), ("import: till", "")

# What the file says (tick, kind), and what is kept by what was stated for it: tick, kind, how and wording.
ROADS: list[tuple[dict[str, str], list[tuple[str, str, Any]]]] = [
    (
        {},
        [
            ("", "", (None, "none", "", "")),
            ("yes", "", (True, "inferred", *OURS)),
            ("no", "", (False, "none", *OURS)),
            ("yes", "express", (True, "inferred", *OURS)),
            ("", "express", (None, "inferred", *OURS)),
            ("yes", "inferred", (True, "inferred", *OURS)),
            ("", "inferred", (None, "inferred", *OURS)),
            ("yes", "none", (True, "none", *OURS)),
            ("yes", "withdrawn", (False, "withdrawn", *OURS)),
        ],
    ),
    (
        EXPRESS,
        [
            ("", "", (None, "none", "", "")),
            ("yes", "", (True, "express", *FORM)),
            ("yes", "express", (True, "express", *FORM)),
            ("no", "", (False, "none", *OURS)),
            ("yes", "inferred", (True, "inferred", *OURS)),
            ("", "withdrawn", (False, "withdrawn", *OURS)),
        ],
    ),
    (
        INFERRED,
        [
            ("", "", (None, "none", "", "")),
            ("yes", "", (True, "inferred", *TILL)),
            ("yes", "express", (True, "inferred", *TILL)),
        ],
    ),
]


@pytest.mark.parametrize(("stated", "roads"), ROADS, ids=["nothing stated", "express", "inferred"])
async def test_no_road_of_a_file_leads_to_consent_that_nobody_gave(salon: Any, stated: Any, roads: Any) -> None:
    rows = "".join(f"P{n},04120000{n:02d},{tick},{kind}\n" for n, (tick, kind, _) in enumerate(roads))
    done = await load(salon, rows, HEADER, **stated)
    kept: dict[str, Any] = {}
    for one in await people(salon):
        said = one["consent_evidence"]
        kept[one["first_name"]] = (one["allow_bulk_sms"], one["consent"], said["how"], said["wording"])
    assert kept == {f"P{n}": wanted for n, (*_, wanted) in enumerate(roads)}
    weaker = [kind for _, kind, wanted in roads if kind == "express" != wanted[1]]
    told = [one["count"] for one in done["repairs"] if one["code"] == "consent_not_stated"]
    assert told == [len(weaker)] * bool(weaker), "what is kept as less than the file says is told"


async def test_a_column_that_is_left_out_says_nothing_and_what_is_stated_holds_for_all(salon: Any) -> None:
    unread = {"mapping": '{"Allow Bulk SMS": "", "Consent": ""}'}
    await load(salon, "Ana,0412000001,yes,express\n", HEADER, **unread)
    await load(salon, "Bob,0412000002,no,\n", HEADER, **unread, **EXPRESS)
    ana, bob = await people(salon)
    assert (ana["allow_bulk_sms"], ana["consent"]) == (None, "none")
    assert (bob["allow_bulk_sms"], bob["consent"], bob["consent_evidence"]["how"]) == (True, "express", FORM[0])


@pytest.mark.parametrize(
    ("given", "consent", "rejected"),
    [({}, "withdrawn", 0), ({"mode": "update"}, "withdrawn", 1), ({"mode": "add"}, "inferred", 0)],
)
async def test_a_row_that_says_withdrawn_stops_its_numbers_for_all_who_have_them(
    salon: Any, given: Any, consent: str, rejected: int
) -> None:
    await load(salon, "Ana,0412000001,yes,\nBob,0412000001,yes,\nCat,0412000003,yes,\n", HEADER)
    rows = "Ana,0412000001,,withdrawn\nNew,0412000009,,withdrawn\nCat,0412000003,yes,\n"
    done = await load(salon, rows, HEADER, **given)
    assert done["rejected"] == rejected
    ana, bob, _, *new = await people(salon)
    assert (ana["consent"], bob["consent"], len(new)) == (consent, "inferred", 1 - rejected)
    said = await salon.said("SuppressionChanged")
    assert [(one.message.suppressed, one.message.source) for one in said] == [(True, "upload")] * (2 - rejected)
    assert (await reasons(salon))["opted_out"] >= 1
    assert [(one["kind"], one["number"]) for one in await words(salon, bob["id"])] == [
        ("inferred", None), ("withdrawn", "+61412000001")]  # fmt: skip
    versions = await salon.count("consent_version")
    again = await load(salon, rows, HEADER, **given)
    assert (again["created"], again["updated"], await salon.count("consent_version")) == (0, 0, versions)
    assert len(await salon.said("SuppressionChanged")) == len(said), "the same file again stops nobody anew"


async def test_all_numbers_of_who_withdrew_are_stopped_whichever_the_file_knows(salon: Any) -> None:
    await salon.load("7,Ana,0412000001,0412000002,yes\n", "Customer no,First name,Mobile,Mobile 2,Allow Bulk SMS")
    await load(salon, "7,Ana,withdrawn\n", "Customer no,First name,Consent", match="field:customer_no")
    stopped = (await salon.ask("GET", "/v1/suppressions")).json()["items"]
    assert sorted(one["number"] for one in stopped) == ["+61412000001", "+61412000002"]


async def test_no_later_file_brings_back_who_withdrew_since(salon: Any, settings: CustomerSettings) -> None:
    rows = "Ana,0412000001,yes,\nBob,0412000002,yes,\nCat,0412000003,yes,\n"
    await load(salon, rows, HEADER)
    ana, bob, cat = (one["id"] for one in await people(salon))
    await salon.ask("POST", f"/v1/customers/{ana}/consents", {"kind": "withdrawn", "source": "person"})
    await salon.hear(handlers.on_opt_out_received, opt_out(salon, hash_of(salon, settings, "+61412000002")))
    await salon.hear(handlers.on_opt_out_received, opt_out(salon, hash_of(salon, settings, "+61412000003"), "in-2"))
    await salon.ask("DELETE", f"/v1/customers/{cat}")
    for stated in ({}, INFERRED, EXPRESS):
        await load(salon, rows, HEADER, **stated)
        assert await reasons(salon) == {"no_consent": 1, "opted_out": 2}
    assert [one["consent"] for one in await people(salon)] == ["withdrawn", "express", "express"]
    assert [one["kind"] for one in await words(salon, bob)] == ["inferred", "withdrawn", "express"]
    stopped = (await salon.ask("GET", "/v1/suppressions")).json()["items"]
    assert len(stopped) == 3
