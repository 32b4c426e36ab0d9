"""Consent: every word is kept and can be proven, a withdrawal stops at once and is undone by the person alone."""

import csv
import io
from itertools import product
from typing import Any

import asyncpg
import pytest
from test_suppressions import hash_of, opt_out

from muster.customer.domain.audience import Reason
from muster.customer.domain.consent import Version, chain_hash, first_broken, why_not
from muster.customer.domain.customers import Consent
from muster.customer.handlers import facts as handlers
from muster.customer.settings import CustomerSettings
from muster.events.v1.common_pb2 import SUPPRESSION_SCOPE_MARKETING

OWN = {"kind": "express", "source": "form", "wording": "Yes, text me offers.", "how": "web form"}


async def add(salon: Any, mobile: str = "0412 000 001", **members: Any) -> int:
    body = {"first_name": "Ana", "mobiles": [mobile] if mobile else [], **members}
    answer = await salon.ask("POST", "/v1/customers", body)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


async def say(salon: Any, customer_id: int, expect: int = 201, **members: Any) -> dict[str, Any]:
    answer = await salon.ask("POST", f"/v1/customers/{customer_id}/consents", members)
    assert answer.status_code == expect, answer.text
    return dict(answer.json())


async def words(salon: Any, customer_id: int) -> list[dict[str, Any]]:
    answer = await salon.ask("GET", f"/v1/customers/{customer_id}/consents")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def reasons(salon: Any) -> dict[str, int]:
    answer = await salon.ask("POST", "/v1/quotes", {"text": "Hi", "audience": {"all": True}})
    return {name: count for name, count in answer.json()["left_out"].items() if count}


async def test_every_word_on_consent_is_a_version_whichever_way_it_comes(salon: Any) -> None:
    customer_id = await add(salon, allow_bulk_sms=True, consent_evidence={"how": "till", "address": "1.2.3.4"})
    await salon.ask("PATCH", f"/v1/customers/{customer_id}", {"last_name": "S"})  # no word on consent
    await salon.ask("PATCH", f"/v1/customers/{customer_id}", {"allow_bulk_sms": False})
    await say(salon, customer_id, **OWN, given_by="her mother", at="2026-05-01T10:00:00+10:00")
    kept = await words(salon, customer_id)
    assert [(one["version"], one["kind"], one["source"], one["recorded_by"]) for one in kept] == [
        (1, "inferred", "api", "ada"),
        (2, "none", "api", "ada"),
        (3, "express", "form", "ada"),
    ]
    assert (kept[0]["how"], kept[0]["address"]) == ("till", "1.2.3.4")
    assert (kept[2]["wording"], kept[2]["given_by"]) == (OWN["wording"], "her mother")
    assert kept[2]["at"] == "2026-05-01T00:00:00Z"
    shown = (await salon.ask("GET", f"/v1/customers/{customer_id}")).json()
    assert (shown["consent"], shown["allow_bulk_sms"]) == ("express", True)
    assert shown["consent_evidence"]["wording"] == OWN["wording"]


async def test_an_import_writes_the_history_of_those_of_whom_it_says_something(salon: Any) -> None:
    await salon.load("Ana,S,0412000001,yes\nBob,S,0412000002,\n")
    assert await salon.count("consent_version") == 1
    await salon.load("Ana,S,0412000001,yes\nBob,S,0412000002,\n")
    assert await salon.count("consent_version") == 1, "the same file again says nothing new"
    await salon.load("Ana,S,0412000001,no\nBob,S,0412000002,\n")
    ana = (await salon.ask("GET", "/v1/customers?search=Ana")).json()["items"][0]["id"]
    assert [(one["kind"], one["source"], one["how"]) for one in await words(salon, ana)] == [
        ("inferred", "import", "import"),
        ("none", "import", "import"),
    ]


async def test_a_withdrawal_stops_the_number_at_once_for_all_who_have_it(salon: Any) -> None:
    ana = await add(salon, allow_bulk_sms=True)
    bob = await add(salon, allow_bulk_sms=True, first_name="Bob")
    done = await say(salon, ana, kind="withdrawn", source="person", wording="No more, please.", how="at the desk")
    assert (len(done["suppressed"]), done["lifted"]) == (1, [])
    [said] = await salon.said("SuppressionChanged")
    assert (said.message.suppressed, said.message.scope) == (True, SUPPRESSION_SCOPE_MARKETING)
    assert said.message.source == "person"
    assert await reasons(salon) == {"no_consent": 1, "opted_out": 1}
    assert [(one["kind"], one["number"]) for one in await words(salon, bob)] == [
        ("inferred", None),
        ("withdrawn", "+61412000001"),
    ]


@pytest.mark.parametrize(
    ("word", "field", "code"),
    [
        ({"kind": "express", "source": "api", "wording": "Yes."}, "kind", "consent_withdrawn"),
        ({"kind": "express", "source": "complaint", "wording": "Yes."}, "kind", "consent_withdrawn"),
        ({"kind": "express", "source": "person"}, "kind", "consent_withdrawn"),
        ({"kind": "inferred", "source": "person", "wording": "Yes."}, "kind", "consent_withdrawn"),
        ({"kind": "none"}, "kind", "consent_withdrawn"),
        ({**OWN, "at": "2026-01-01T00:00:00Z"}, "at", "withdrawn_later"),
        ({**OWN, "at": "2999-01-01T00:00:00Z"}, "at", "in_the_future"),
    ],
)
async def test_a_withdrawal_is_undone_by_nothing_but_the_persons_own_later_word(
    salon: Any, word: dict[str, str], field: str, code: str
) -> None:
    customer_id = await add(salon, allow_bulk_sms=True)
    await say(salon, customer_id, kind="withdrawn", source="person")
    refused = await say(salon, customer_id, 422, **word)
    assert (refused["code"], refused["errors"][0]["field"]) == (code, field)
    assert len(await words(salon, customer_id)) == 2


async def test_a_new_express_consent_after_a_withdrawal_counts_and_lifts_what_it_stopped(salon: Any) -> None:
    customer_id = await add(salon, allow_bulk_sms=True)
    await say(salon, customer_id, kind="withdrawn", source="person")
    done = await say(salon, customer_id, **OWN)
    assert (done["suppressed"], len(done["lifted"])) == ([], 1)
    assert await reasons(salon) == {}
    assert [fact.message.suppressed for fact in await salon.said("SuppressionChanged")] == [True, False]


@pytest.mark.parametrize("change", [{"consent": "express"}, {"allow_bulk_sms": True}, {"consent": "none"}])
async def test_a_tick_undoes_no_withdrawal(salon: Any, change: dict[str, Any]) -> None:
    customer_id = await add(salon, allow_bulk_sms=True)
    await salon.ask("PATCH", f"/v1/customers/{customer_id}", {"consent": "withdrawn"})
    refused = await salon.ask("PATCH", f"/v1/customers/{customer_id}", change)
    assert (refused.status_code, refused.json()["code"]) == (422, "consent_withdrawn")
    untick = await salon.ask("PATCH", f"/v1/customers/{customer_id}", {"allow_bulk_sms": False})
    assert (untick.status_code, untick.json()["consent"]) == (200, "withdrawn")
    assert await reasons(salon) == {"no_consent": 1}


async def test_the_database_itself_lets_no_weaker_word_undo_a_withdrawal(salon: Any) -> None:
    customer_id = await add(salon, allow_bulk_sms=True)
    await say(salon, customer_id, kind="withdrawn", source="person")
    sneaked = "UPDATE customer SET consent = 'express', allow_bulk_sms = true WHERE tenant_id = $1 AND customer_id = $2"
    with pytest.raises(asyncpg.CheckViolationError, match="withdrawal_stands"):
        async with salon.db.request(salon.tenant_id) as tx:
            await tx.execute(sneaked, salon.tenant_id, customer_id)


@pytest.mark.parametrize("change", ["UPDATE consent_version SET wording = 'x'", "DELETE FROM consent_version"])
async def test_no_word_is_ever_changed_not_even_by_the_owner(salon: Any, change: str) -> None:
    await add(salon, allow_bulk_sms=True)
    connection = await asyncpg.connect(salon.admin_dsn)
    try:
        with pytest.raises(asyncpg.RaiseError, match="never changed"):
            await connection.execute(change)
    finally:
        await connection.close()
    with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.RaiseError)):
        async with salon.db.request(salon.tenant_id) as tx:
            await tx.execute(change)


async def test_a_reply_is_a_word_of_all_who_have_the_number_and_start_gives_consent_anew(
    salon: Any, settings: CustomerSettings
) -> None:
    ana = await add(salon, allow_bulk_sms=True)
    number_hash = hash_of(salon, settings, "+61412000001")
    await salon.hear(handlers.on_opt_out_received, opt_out(salon, number_hash, received_at_unix_ms=1_790_000_000_000))
    start = opt_out(salon, number_hash, "in-2", opted_out=False, received_at_unix_ms=1_790_000_060_000)
    await salon.hear(handlers.on_opt_out_received, start)
    assert [(one["kind"], one["source"], one["address"]) for one in await words(salon, ana)] == [
        ("inferred", "api", ""),
        ("withdrawn", "reply", "+61412000001"),
        ("express", "reply", "+61412000001"),
    ]
    assert await reasons(salon) == {}


async def test_a_start_that_was_written_before_a_later_withdrawal_does_not_undo_it(
    salon: Any, settings: CustomerSettings
) -> None:
    ana = await add(salon, allow_bulk_sms=True)
    await say(salon, ana, kind="withdrawn", source="person")
    start = opt_out(salon, hash_of(salon, settings, "+61412000001"), opted_out=False, received_at_unix_ms=1_000)
    await salon.hear(handlers.on_opt_out_received, start)
    assert [one["kind"] for one in await words(salon, ana)] == ["inferred", "withdrawn"]
    assert await reasons(salon) == {"no_consent": 1}


async def test_a_word_on_one_number_is_of_that_number_and_a_later_one_on_all_takes_its_place(salon: Any) -> None:
    ana = await add(salon, mobiles=["0412000001", "0412000002"], mobile="")
    await say(salon, ana, **OWN, number="0412 000 001")
    assert await reasons(salon) == {}
    await say(salon, ana, kind="none", number="0412000001")
    assert await reasons(salon) == {"no_consent": 1}
    await say(salon, ana, **OWN)
    assert await reasons(salon) == {}
    assert [one["number"] for one in await words(salon, ana)] == ["+61412000001", "+61412000001", None]
    refused = await say(salon, ana, 422, kind="none", number="0412000009")
    assert refused["code"] == "not_theirs"
    assert (await say(salon, ana, 422, kind="none", number="12"))["errors"][0]["field"] == "number"


async def test_the_audience_judges_as_the_rule_says_in_each_case(salon: Any, settings: CustomerSettings) -> None:
    cases = list(product((True, False), Consent, (None, *Consent), (None, 1, 2)))
    rows = [
        (f"04120{n:05d}", allow and consent is not Consent.WITHDRAWN, consent, number, scope)
        for n, (allow, consent, number, scope) in enumerate(cases)
    ]
    await salon.load("".join(f"N{n},{row[0]}\n" for n, row in enumerate(rows)), "first name,mobile")
    async with salon.db.request(salon.tenant_id) as tx:
        for mobile, allow, consent, number, scope in rows:
            number_hash = hash_of(salon, settings, f"+61{mobile[1:]}")
            await tx.execute(
                "UPDATE customer SET allow_bulk_sms = $3, consent = $4 WHERE tenant_id = $1 AND customer_id ="
                " (SELECT customer_id FROM customer_number WHERE tenant_id = $1 AND number_hash = $2)",
                *(salon.tenant_id, number_hash, allow, consent.value),
            )
            if number is not None:
                await tx.execute(
                    "INSERT INTO number_consent SELECT tenant_id, customer_id, number_hash, $3, now()"
                    " FROM customer_number WHERE tenant_id = $1 AND number_hash = $2",
                    *(salon.tenant_id, number_hash, number.value),
                )
            if scope is not None:
                values = (salon.tenant_id, number_hash, scope)
                await tx.execute("INSERT INTO suppression VALUES ($1, $2, 1, true, $3, now())", *values)
    for marketing in (True, False):
        expected: dict[str, int] = {}
        for _, allow, consent, number, scope in rows:
            stopped = scope == 2 or (scope == 1 and marketing)
            reason = why_not(
                allow_bulk_sms=allow, consent=consent, number_consent=number, suppressed=stopped, marketing=marketing
            )
            expected[reason.word] = expected.get(reason.word, 0) + 1
        quote = await salon.quote("Hi", **{"class": "marketing" if marketing else "factual"})
        found = {name: count for name, count in quote["left_out"].items() if count} | {"none": quote["recipients"]}
        assert found == expected
    assert Reason.NONE.word in expected


async def test_the_evidence_of_one_consent_is_a_file_whose_chain_can_be_checked(salon: Any) -> None:
    ana = await add(salon, allow_bulk_sms=True, consent_evidence={"how": "=1+1", "wording": "Yes “please”"})
    await say(salon, ana, kind="withdrawn", source="person", number="0412000001", at="2026-06-01T00:00:00Z")
    await say(salon, ana, **OWN, number="0412000001")
    path = f"/v1/customers/{ana}/consents/evidence"
    file = (await salon.ask("GET", path)).json()
    assert (file["business"], file["numbers"], file["chain"]["whole"]) == ("Salon", ["+61412000001"], True)
    assert [one["kind"] for one in file["consents"]] == ["inferred", "withdrawn", "express"]
    assert [(one["suppressed"], one["number"]) for one in file["suppressions"]] == [
        (True, "+61412000001"),
        (False, "+61412000001"),
    ]
    table = (await salon.ask("GET", path, Accept="text/csv")).text
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [row["record"] for row in rows] == ["consent"] * 3 + ["suppression"] * 2
    assert (rows[0]["how"], rows[1]["number"]) == ("'=1+1", "+61412000001")
    page = (await salon.ask("GET", path, Accept="text/plain")).text
    assert "3. express (+61412000001)" in page
    assert "whole: 3 versions without a gap" in page
    assert (await salon.ask("GET", path, by="other")).status_code == 404


async def test_the_evidence_follows_who_was_merged_and_a_stop_names_its_message(
    salon: Any, settings: CustomerSettings
) -> None:
    ana, bob = await add(salon, allow_bulk_sms=True), await add(salon, "0412 000 002", first_name="Bob")
    await say(salon, bob, **OWN)
    await salon.hear(handlers.on_opt_out_received, opt_out(salon, hash_of(salon, settings, "+61412000002"), "in-7"))
    merged = await salon.ask("POST", f"/v1/customers/{ana}/merge", {"customer_id": bob})
    assert merged.status_code == 200, merged.text
    path = "/v1/customers/{}/consents/evidence"
    file = (await salon.ask("GET", path.format(ana))).json()
    [old] = file["merged"]
    assert (old["customer_id"], old["chain"]["whole"]) == (bob, True)
    assert [one["kind"] for one in old["consents"]] == ["express", "withdrawn"]
    assert [(one["source"], one["inbound_id"]) for one in file["suppressions"]] == [("reply", "in-7")]
    rows = list(csv.DictReader(io.StringIO((await salon.ask("GET", path.format(ana), Accept="text/csv")).text)))
    assert {row["customer_id"] for row in rows if row["record"] == "consent"} == {str(ana), str(bob)}
    page = (await salon.ask("GET", path.format(ana), Accept="text/plain")).text
    assert f"Merged into this one: customer {bob}\nChain of versions: whole: 2 versions" in page
    assert "inbound id: in-7" in page
    assert (await salon.ask("GET", path.format(bob))).json()["merged_into"] == ana
    exported = (await salon.ask("GET", f"/v1/customers/{ana}/export")).json()
    assert [one["customer_id"] for one in exported["merged"]] == [bob]
    [stopped] = (await salon.ask("GET", "/v1/suppressions")).json()["items"]
    [said] = (await salon.ask("GET", f"/v1/suppressions/{stopped['id']}")).json()["items"]
    assert said["inbound_id"] == "in-7"


async def test_the_evidence_outlives_the_customer_and_shows_what_was_tampered_with(salon: Any) -> None:
    ana = await add(salon, allow_bulk_sms=True)
    await say(salon, ana, **OWN)
    await salon.ask("DELETE", f"/v1/customers/{ana}")
    path = f"/v1/customers/{ana}/consents/evidence"
    file = (await salon.ask("GET", path)).json()
    assert (file["name"], len(file["consents"]), file["chain"]["whole"]) == (None, 2, True)
    connection = await asyncpg.connect(salon.admin_dsn)
    try:
        await connection.execute("ALTER TABLE consent_version DISABLE TRIGGER USER")
        await connection.execute("UPDATE consent_version SET wording = 'Nothing.' WHERE version = 2")
    finally:
        await connection.close()
    assert (await salon.ask("GET", path)).json()["chain"]["first_broken"] == 2
    assert "broken at version 2" in (await salon.ask("GET", path, Accept="text/plain")).text


async def test_a_version_that_is_missing_or_changed_breaks_the_chain(salon: Any) -> None:
    ana = await add(salon, allow_bulk_sms=True)
    for wording in ("One.", 'Two: "é"\u2028\u007f', "Three."):
        await say(salon, ana, **{**OWN, "wording": wording})
    async with salon.db.request(salon.tenant_id) as tx:
        rows = await tx.fetch("SELECT * FROM consent_version WHERE tenant_id = $1 ORDER BY version", salon.tenant_id)
    names = Version.__dataclass_fields__
    versions = [Version(**{name: row[name] for name in names}) for row in rows]
    assert first_broken(salon.tenant_id, ana, versions) is None
    assert first_broken(salon.tenant_id, ana, versions[1:]) == 1
    assert first_broken(salon.tenant_id, ana, [versions[0], *versions[2:]]) == 2
    assert first_broken(salon.tenant_id, ana + 1, versions) == 1
    assert chain_hash(b"", salon.tenant_id, ana, versions[0]) == versions[0].hash


async def test_the_first_words_of_many_are_each_hashed_as_evidence_is_and_salted_on_their_own(salon: Any) -> None:
    recorders = ["ada", 'A "B" \\ C', "é\u2028\u007f\t\n", ""]
    async with salon.db.request(salon.tenant_id) as tx:
        await tx.execute(
            "INSERT INTO customer (tenant_id, first_name, last_name, consent, allow_bulk_sms, consent_at, consent_how,"
            " consent_by, match_key) SELECT $1, 'Ana', '', kind, allow, at, 'by \"hand\"', recorder, ''"
            " FROM unnest($2::text[]) recorder, unnest('{express,inferred}'::text[]) kind,"
            " unnest('{t,f,NULL}'::bool[]) allow, unnest(ARRAY[kit_now(), '1999-12-31Z', NULL]) at",
            *(salon.tenant_id, recorders),
        )
        rows = await tx.fetch("SELECT * FROM consent_version WHERE tenant_id = $1", salon.tenant_id)
    assert len(rows) == len({row["salt"] for row in rows}) == 72
    for row in rows:
        version = Version(**{name: row[name] for name in Version.__dataclass_fields__})
        assert chain_hash(b"", salon.tenant_id, row["customer_id"], version) == version.hash
