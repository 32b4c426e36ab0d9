"""What the law asks is checked before a send, overridden by a named admin alone, and kept as it was signed."""

import json
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from conftest import EXPRESS, rate
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from test_scheduler import add, run, shown

from muster.customer.handlers import facts
from muster.events.v1.checks_pb2 import CHECK_STATUS_OVERRIDDEN, CHECK_STATUS_PASSED

HOME = "Ana,Smith,0412000001,yes\nBob,Jones,0412000002,yes\n"
ABROAD = "Cas,West,+12135550103,yes\nDee,York,+12125550101,yes\nEve,Lee,+447400123456,yes\n"
REASON = "Their signed forms are in the binder of the front desk"
OVERRIDE = {"check": "consent", "country": "US", "reason": REASON}


@pytest.fixture
async def world(salon: Any) -> Any:
    """A salon with customers in three countries, of whom those in the United States have not agreed in words."""
    await salon.hear(facts.on_rates_changed, rate("US", 2))
    await salon.load(HOME + ABROAD)
    return salon


async def confirm(salon: Any, quote: Any, by: str = "admin", **members: Any) -> Any:
    body = {"quote_id": quote["id"], **members}
    return await salon.ask("POST", "/v1/bulk-sms", body, by=by, Idempotency_Key=str(uuid4()))


async def kept(salon: Any, bulk_id: str, by: str = "staff") -> dict[str, Any]:
    answer = await salon.ask("GET", f"/v1/bulk-sms/{bulk_id}/checks", by=by)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_quote_says_what_each_country_asks_and_what_blocks_is_refused_until_an_admin_overrides_it(
    world: Any,
) -> None:
    quote = await world.quote("We moved")
    statuses = {(one["check"], one["country"]): one["status"] for one in quote["checks"]}
    assert {country for _, country in statuses} == {"AU", "US", "GB"}
    assert [one for one, status in statuses.items() if status != "passed"] == [("consent", "US")]
    [found] = [one for one in quote["checks"] if one["status"] == "blocked"]
    assert (found["recipients"], found["message"]) == (
        *(2, "Not everybody has given express consent (inferred: 2)."),
    )  # fmt: skip
    assert "47 CFR 64.1200" in found["source"]

    refused = await confirm(world, quote)
    assert (refused.status_code, refused.json()["code"]) == (409, "checks_blocked")
    assert "An admin may override it" in refused.json()["detail"]
    assert [(one["check"], one["country"]) for one in refused.json()["checks"]] == [("consent", "US")]
    by_manager = await confirm(world, quote, "manager", overrides=[OVERRIDE])
    assert (by_manager.status_code, by_manager.json()["roles"]) == (403, ["admin"])
    absolute = await confirm(world, quote, overrides=[OVERRIDE, {**OVERRIDE, "check": "opt_out"}])
    assert [(one["field"], one["code"]) for one in absolute.json()["errors"]] == [("overrides.1", "absolute_right")]
    assert await world.count("bulk") == await world.count("send_checks") == 0

    taken = await confirm(world, quote, overrides=[OVERRIDE])
    assert taken.status_code == 202, taken.text
    [fact] = await world.said("BulkSmsChecked")
    said = fact.message
    assert (said.bulk_id, said.quote_id, said.user_id, said.role) == (taken.json()["id"], quote["id"], "ada", "admin")
    told = {(one.check, one.country): one.status for one in said.checks}
    assert told.pop(("consent", "US")) == CHECK_STATUS_OVERRIDDEN
    assert set(told.values()) == {CHECK_STATUS_PASSED}
    assert REASON.encode() not in said.SerializeToString(), "what somebody types may name people"


async def test_the_signed_list_is_kept_with_the_send_and_whoever_has_a_copy_can_verify_it(world: Any) -> None:
    quote = await world.quote("We moved")
    bulk_id = (await confirm(world, quote, overrides=[OVERRIDE])).json()["id"]
    found = await kept(world, bulk_id)
    signed = found["signed"]
    assert (found["intact"], found["text"], signed["recipients"], signed["class"]) == (True, True, 5, "marketing")
    assert (signed["confirmed_by"], signed["role"], signed["schedule_id"]) == ("ada", "admin", None)
    assert signed["overrides"] == [{**OVERRIDE, "by": "ada"}]
    assert [one | {"found": []} for one in signed["checks"]] == quote["checks"]

    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(found["public_key"]))
    octets = json.dumps(signed, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    key.verify(bytes.fromhex(found["signature"]), octets)
    with pytest.raises(InvalidSignature):
        key.verify(bytes.fromhex(found["signature"]), octets.replace(b"inferred: 2", b"express: 2"))

    path = f"/v1/bulk-sms/{bulk_id}/checks/verification"
    copy = {"signed": signed, "signature": found["signature"]}
    assert (await world.ask("POST", path, copy)).json() == {"valid": True, "kept": True}
    copy["signed"] = {**signed, "overrides": []}
    assert (await world.ask("POST", path, copy)).json() == {"valid": False, "kept": False}
    other = (await confirm(world, await world.quote("We moved"), overrides=[OVERRIDE])).json()["id"]
    elsewhere = await kept(world, other)
    copy = {"signed": elsewhere["signed"], "signature": elsewhere["signature"]}
    assert (await world.ask("POST", path, copy)).json() == {"valid": True, "kept": False}
    for stranger in ("other", "stranger"):
        assert (await world.ask("GET", f"/v1/bulk-sms/{bulk_id}/checks", by=stranger)).status_code == 404


async def test_what_is_changed_by_hand_is_not_intact(world: Any) -> None:
    bulk_id = (await confirm(world, await world.quote("We moved"), overrides=[OVERRIDE])).json()["id"]
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with world.db.request(world.tenant_id) as tx:
            await tx.execute("UPDATE send_checks SET signed = '{}'")
    connection = await asyncpg.connect(world.admin_dsn)
    try:
        await connection.execute("UPDATE quote SET text = 'We did not move'")
        assert [(one["intact"], one["text"]) for one in (await kept(world, bulk_id),)] == [(True, False)]
        await connection.execute("UPDATE quote SET text = '(erased)'")
        assert [(one["intact"], one["text"]) for one in (await kept(world, bulk_id),)] == [(True, None)]
        await connection.execute("""UPDATE send_checks SET signed = jsonb_set(signed, '{confirmed_by}', '"bob"')""")
        assert (await kept(world, bulk_id))["intact"] is False
    finally:
        await connection.close()


async def test_whoever_agreed_in_words_blocks_nothing_and_an_offer_in_what_is_factual_warns(salon: Any) -> None:
    await salon.hear(facts.on_rates_changed, rate("US", 2))
    header = "first name,last name,mobile,allow bulk sms,consent"
    await salon.load("Cas,West,+12135550103,yes,express", header, **EXPRESS)
    quote = await salon.quote("Sale")
    assert {one["status"] for one in quote["checks"]} == {"passed"}
    assert (await confirm(salon, quote)).status_code == 202

    factual = await salon.quote("Sale! 20% off at x.io/a", **{"class": "factual"})
    [warned] = [one for one in factual["checks"] if one["status"] == "warning"]
    assert (warned["check"], warned["found"]) == ("class", ["Sale", "20% off", "x.io/a"])
    nothing = await confirm(salon, factual, overrides=[{**OVERRIDE, "check": "class"}])
    assert [one["code"] for one in nothing.json()["errors"]] == ["nothing_to_override"]
    bulk_id = (await confirm(salon, factual)).json()["id"]
    assert "found" not in (await kept(salon, bulk_id))["signed"]["checks"][0], "it may be a link of one person's"


async def test_a_word_on_the_number_goes_before_the_one_on_the_customer_and_the_next_quote_knows_it(
    world: Any,
) -> None:
    audience = {"query": "country is US"}

    async def consent() -> tuple[str, str]:
        quote = await world.quote("We moved", audience)
        [found] = [one for one in quote["checks"] if one["check"] == "consent"]
        return found["status"], found["message"]

    assert await consent() == ("blocked", "Not everybody has given express consent (inferred: 2).")
    given = """
        INSERT INTO number_consent SELECT tenant_id, customer_id, number_hash, 'express', kit_now()
        FROM customer_number WHERE number = $1"""
    async with world.db.request(world.tenant_id) as tx:
        await tx.execute(given, 12135550103)
    assert await consent() == ("blocked", "Not everybody has given express consent (express: 1, inferred: 1).")
    async with world.db.request(world.tenant_id) as tx:
        await tx.execute(given, 12125550101)
    assert await consent() == ("passed", "Everybody has given express consent (express: 2).")


async def test_a_quote_of_before_there_were_checks_is_sent_and_signed_without_any(world: Any) -> None:
    quote = await world.quote("We moved")
    async with world.db.request(world.tenant_id) as tx:
        await tx.execute("UPDATE quote SET details = details - 'checks'")
    taken = await confirm(world, quote)
    assert taken.status_code == 202, taken.text
    signed = (await kept(world, taken.json()["id"]))["signed"]
    assert (signed["checks"], signed["confirmed_by"]) == ([], "ada")


async def test_a_start_of_a_schedule_that_the_law_blocks_is_not_made_and_says_why(world: Any) -> None:
    whole, home = await add(world), await add(world, audience={"query": "country is AU"})
    await run(world)
    [start] = (await shown(world, whole))["occurrences"]
    assert (start["outcome"], start["code"], start["bulk_id"]) == ("not_possible", "checks_blocked", None)
    assert start["detail"] == "consent (US): Not everybody has given express consent (inferred: 2)."
    [start] = (await shown(world, home))["occurrences"]
    assert start["outcome"] == "started"
    signed = (await kept(world, start["bulk_id"]))["signed"]
    assert (signed["schedule_id"], signed["confirmed_by"], signed["role"]) == (home, "ada", "admin")


async def test_a_single_message_of_marketing_needs_the_consent_that_the_law_of_its_country_asks_for(world: Any) -> None:
    body = {"to": "+12135550103", "text": "Sale", "class": "marketing"}
    refused = await world.ask("POST", "/v1/messages", body, Idempotency_Key="k")
    [error] = refused.json()["errors"]
    assert (refused.status_code, error["field"], error["code"]) == (422, "to", "no_consent")
    assert error["message"].startswith("marketing to US needs express consent: 47 CFR 64.1200")
    for allowed in ({"class": "factual"}, {"to": "0412000001"}, {"to": "+447400123456"}):
        answer = await world.ask("POST", "/v1/messages", {**body, **allowed}, Idempotency_Key=str(uuid4()))
        assert answer.status_code == 202, answer.text


async def test_single_messages_have_no_list(salon: Any) -> None:
    body = {"to": "0412000001", "text": "Hi"}
    sent = (await salon.ask("POST", "/v1/messages", body, Idempotency_Key="k")).json()
    assert (await salon.ask("GET", f"/v1/bulk-sms/{sent['bulk_id']}/checks")).status_code == 404
