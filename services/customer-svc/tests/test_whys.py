"""Why did this person (not) get it? One call answers, for a customer or a number; and the messages of a customer."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from gathering import plain
from hypothesis import given
from hypothesis import strategies as st
from test_again import ACCEPTED, REJECTED, STOPPED, SUPPRESSED, UNDELIVERED, Story
from test_erasure import forget
from test_exclusions import enlist, messaged, people

from muster.customer import planner
from muster.customer.domain.again import Missed
from muster.customer.domain.sends import State
from muster.customer.domain.whys import Became, Sums, became
from muster.customer.events import MessageKind
from muster.customer.store import bulks
from muster.customer.store.whys import HISTORY

ROWS = """Old,0412000001,no,,,
Ana,0412000001,yes,Rex,vip,2026-04-30
Bea,0412000001,yes,Rex,,
Bob,0412000002,yes,,,
Cat,0412000003,yes,Tom,,2026-06-01
Dan,0412000004,yes,Tom,vip,
Eve,0412000005,yes,Tom,staff,
Fay,,yes,Tom,,
Gus,0412000007,yes,Tom,,
Hal,+12015550123,yes,Tom,,
Ivy,0412000009,yes,Tom,,
"""


@pytest.fixture
async def town(salon: Any) -> Any:
    await salon.load(ROWS, "first name,mobile,allow bulk sms,pet,tags,last visit")
    kind = {"name": "Last visit", "kind": "date"}
    assert (await salon.ask("PUT", "/v1/own-fields/last_visit", kind)).status_code == 200
    return salon


async def ids_of(salon: Any) -> dict[str, int]:
    return {one["first_name"]: one["id"] for one in await people(salon)}


async def why(salon: Any, bulk_id: str, customer_id: int, status: int = 200, by: str = "staff") -> Any:
    answer = await salon.ask("GET", f"/v1/bulk-sms/{bulk_id}/customers/{customer_id}", by=by)
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_each_reason_is_told_with_what_it_rested_on(town: Any) -> None:
    ids = await ids_of(town)
    story = await messaged(town, [ACCEPTED], days_ago=1.1, audience={"customer_ids": [ids["Gus"]]})
    stop = await town.ask("POST", "/v1/suppressions", {"number": "0412000002"})
    assert stop.status_code == 201
    await enlist(town, Rivals=("Cat",), Neighbours=("Dan",))
    await town.ask("PUT", "/v1/frequency-cap", {"messages": 1, "days": 30})
    rule = {
        "query": "not ivy",
        "exclude": {
            "lists": ["Rivals", "Neighbours"], "tags": ["none", "staff"], "messaged_in_days": 1,
            "seen_since": {"field": "last visit", "since": "2026-04-01"},
        },
    }  # fmt: skip
    quote = await town.quote("Dear {{first_name}}, {{pet|pet}}", rule)
    bulk_id = await town.send(quote["id"])
    assert (await why(town, bulk_id, ids["Bea"]))["outcome"] == "not_planned"
    await town.plan()
    told = {name: await why(town, bulk_id, id_) for name, id_ in ids.items()}
    reasons = {name: one["reason"] or one["outcome"] for name, one in told.items()}
    assert reasons == {
        "Old": "no_consent", "Ana": "seen_since", "Bea": "texted", "Bob": "opted_out", "Cat": "in_excluded_list",
        "Dan": "in_excluded_list", "Eve": "has_excluded_tag", "Fay": "not_textable", "Gus": "frequency_cap",
        "Hal": "not_textable", "Ivy": "not_asked",
    }  # fmt: skip
    assert "'Rivals'" in told["Cat"]["why"]
    assert "'Neighbours'" in told["Dan"]["why"]
    assert "'staff'" in told["Eve"]["why"]
    assert "2026-04-30" in told["Ana"]["why"]
    assert "2026-04-01" in told["Ana"]["why"]
    assert "1 message in the last 30 days; the cap of the business is 1" in told["Gus"]["why"]
    assert told["Bob"]["suppression"]["id"] == stop.json()["id"]
    assert (told["Bob"]["suppression"]["version"], told["Bob"]["suppression"]["source"]) == (1, "person")
    assert told["Old"]["consent"] is None or told["Old"]["consent"]["allow_bulk_sms"] is not True
    bea = told["Bea"]
    assert (plain(bea["text"]), bea["parts"], bea["credits"], bea["number"]) == ("Dear Bea, Rex", 1, 1, "+61412000001")
    assert (bea["consent"]["version"], bea["consent"]["source"], bea["became"]) == (1, "import", "waiting")
    assert bea["report"] == f"/v1/messages/{bulk_id}-1" == f"/v1/messages/{bea['message_id']}"
    assert story.bulk_id != bulk_id


async def test_the_answer_is_as_of_the_freeze_whatever_was_said_since(town: Any) -> None:
    ids = await ids_of(town)
    bulk_id = await town.send((await town.quote("Hi {{first_name}}", {"tag": "vip"}))["id"])
    await town.plan()
    before = await why(town, bulk_id, ids["Dan"])
    withdrawn = {"kind": "withdrawn", "at": datetime.now(UTC).isoformat(), "source": "person", "how": "by phone"}
    answer = await town.ask("POST", f"/v1/customers/{ids['Dan']}/consents", withdrawn)
    assert answer.status_code == 201, answer.text
    changed = await town.ask("PATCH", f"/v1/customers/{ids['Dan']}", {"numbers": ["0412999999"], "tags": []})
    assert changed.status_code == 200, changed.text
    assert await why(town, bulk_id, ids["Dan"]) == before
    assert before["consent"]["kind"] in ("express", "inferred")


async def test_what_is_said_while_a_send_is_frozen_is_not_what_it_went_by(
    town: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    dan = (await ids_of(town))["Dan"]
    bulk_id = await town.send((await town.quote("Hi", {"customer_ids": [dan]}))["id"])
    freeze = planner.audience.freeze_audience

    async def frozen(*given: Any, **named: Any) -> Any:
        made = await freeze(*given, **named)
        said = {"kind": "withdrawn", "source": "person", "how": "by phone"}
        assert (await town.ask("POST", f"/v1/customers/{dan}/consents", said)).status_code == 201
        return made

    monkeypatch.setattr(planner.audience, "freeze_audience", frozen)
    await town.plan()

    told = await why(town, bulk_id, dan)
    assert (told["outcome"], told["consent"]["version"], told["consent"]["kind"]) == ("texted", 1, "inferred")


async def test_a_message_that_was_forgotten_with_somebody_who_shared_the_number_is_told_as_that(town: Any) -> None:
    ids = await ids_of(town)
    bulk_id = await town.send((await town.quote("Hi", {"query": "ana or bob"}))["id"])
    await town.plan()
    erased = await town.ask("POST", f"/v1/customers/{ids['Bea']}/erasure", {"ground": "asked"})
    assert erased.status_code == 202
    await forget(town)

    told = await why(town, bulk_id, ids["Ana"])
    assert (told["outcome"], told["text"], told["number"]) == ("erased", None, None)
    assert "had the same number" in told["why"]
    assert (await why(town, bulk_id, ids["Cat"]))["outcome"] == "not_asked"


async def test_one_message_for_a_number_is_in_the_history_of_each_who_shares_it(town: Any) -> None:
    ids = await ids_of(town)
    bulk_id = await town.send((await town.quote("Hi {{first_name}}", {"query": "not (ivy or bea)"}))["id"])
    again = await town.send((await town.quote("Again {{first_name}}", {"query": "ana or bea"}))["id"])
    await town.plan()
    told = await why(town, again, ids["Bea"])
    assert (told["reason"], told["texted_customer_id"], plain(told["text"])) == (
        "duplicate_number",
        ids["Ana"],
        "Again Ana",
    )
    assert f"Customer {ids['Ana']}" in told["why"]
    for name in ("Ana", "Bea", "Old"):
        page = (await town.ask("GET", f"/v1/customers/{ids[name]}/messages", by="staff")).json()["items"]
        assert [(one["bulk_id"], plain(one["text"]), one["customer_id"]) for one in page] == [
            (again, "Again Ana", ids["Ana"]), (bulk_id, "Hi Ana", ids["Ana"]),
        ], name  # fmt: skip
    numbers = await town.http.get(
        f"/v1/bulk-sms/{again}/customers", params={"number": "0412 000 001"}, headers={"Authorization": "Bearer staff"}
    )
    assert [(one["customer_id"], one["outcome"]) for one in numbers.json()["items"]] == [
        (ids["Old"], "not_asked"), (ids["Ana"], "texted"), (ids["Bea"], "left_out"),
    ]  # fmt: skip


async def test_the_history_is_paged_and_shows_on_demand_what_they_are_out_of(town: Any) -> None:
    ids = await ids_of(town)
    sends = [await town.send((await town.quote("Hi", {"query": "ivy or gus"}))["id"]) for _ in range(3)]
    await town.plan()
    assert (await town.ask("POST", "/v1/suppressions", {"number": "0412000009"})).status_code == 201
    out = await town.send((await town.quote("Hi", {"query": "ivy or gus"}))["id"])
    await town.plan()
    path, seen, cursor = f"/v1/customers/{ids['Ivy']}/messages", [], ""
    while True:
        page = (await town.ask("GET", f"{path}?limit=2{cursor}")).json()
        seen += [one["bulk_id"] for one in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == sends[::-1]
    first = (await town.ask("GET", f"{path}?left_out=true")).json()["items"][0]
    assert (first["bulk_id"], first["reason"], first["text"]) == (out, "opted_out", None)


async def test_what_became_of_it_is_told_as_far_as_it_is_known(town: Any) -> None:
    people_ = ["Gus", "Ivy", "Dan", "Cat", "Eve"]
    quote = await town.quote("Hi", {"query": " or ".join(people_)})
    story = Story(town, await town.send(quote["id"]))
    await town.plan()
    ids = await ids_of(town)
    order = sorted(people_, key=lambda name: ids[name])
    await story.end([ACCEPTED, ACCEPTED, REJECTED, SUPPRESSED, STOPPED])
    await story.receipts([UNDELIVERED])
    became_ = [(await why(town, story.bulk_id, ids[name]))["became"] for name in order]
    assert became_ == ["failed", "accepted", "not_sent", "suppressed", "not_sent"]


async def test_a_customer_who_was_removed_is_still_told_and_one_of_another_business_is_not(town: Any) -> None:
    ids = await ids_of(town)
    bulk_id = await town.send((await town.quote("Hi", {"query": "gus or ivy"}))["id"])
    await town.plan()
    assert (await town.ask("DELETE", f"/v1/customers/{ids['Gus']}")).status_code == 204
    gone = await why(town, bulk_id, ids["Gus"])
    assert (gone["outcome"], gone["number"]) == ("texted", "+61412000007")
    await why(town, bulk_id, ids["Ivy"], status=404, by="other")
    await why(town, bulk_id, 10**12, status=404)
    await why(town, str(uuid4()), ids["Ivy"], status=404)


async def test_of_who_was_erased_nothing_is_told_but_that(town: Any) -> None:
    ids = await ids_of(town)
    bulk_id = await town.send((await town.quote("Hi {{first_name}}", {"query": "gus or ivy"}))["id"])
    await town.plan()
    await Story(town, bulk_id).end([ACCEPTED, ACCEPTED])
    erased = await town.ask("POST", f"/v1/customers/{ids['Gus']}/erasure", {"ground": "asked"})
    assert erased.status_code == 202, erased.text
    for _ in range(2):
        assert (await why(town, bulk_id, ids["Gus"]))["outcome"] == "erased"
        assert (await town.ask("GET", f"/v1/customers/{ids['Gus']}/messages")).status_code == 404
        answer = await town.ask("GET", f"/v1/bulk-sms/{bulk_id}/customers?number=0412000007")
        [one] = answer.json()["items"]
        assert (one["outcome"], one["customer_id"], one["number"], one["text"]) == ("erased", None, None, None)
        await forget(town)
    assert plain((await why(town, bulk_id, ids["Ivy"]))["text"]) == "Hi Ivy"
    assert (await town.bulk(bulk_id))["recipients"] == 2


async def test_a_single_message_is_in_the_history_too(town: Any) -> None:
    ids = await ids_of(town)
    sent = await town.ask("POST", "/v1/messages", {"customer_id": ids["Ivy"], "text": "See you at 10"})
    assert sent.status_code == 202, sent.text
    [one] = (await town.ask("GET", f"/v1/customers/{ids['Ivy']}/messages")).json()["items"]
    assert (one["kind"], one["text"], one["message_id"]) == ("single", "See you at 10", sent.json()["id"])
    told = await why(town, one["bulk_id"], ids["Ivy"])
    assert (told["outcome"], told["text"], told["parts"]) == ("texted", "See you at 10", 1)


async def test_the_messages_of_a_customer_are_found_by_an_index_also_under_row_security(town: Any) -> None:
    async with town.db.request(town.tenant_id) as tx:
        await tx.execute("SET LOCAL enable_seqscan = off")
        given = ([1], [2], [3], None, 50, False)
        lines = await tx.fetch(f"EXPLAIN {HISTORY}", town.tenant_id, *given)
    plan = "\n".join(line[0] for line in lines)
    _, _, used = plan.partition("plan_frozen_customer")
    assert "low_id >= who.low" in used.split("Index Cond")[1].partition("\n")[0], plan


async def test_the_sends_to_many_are_found_by_an_index_among_any_number_of_single_messages(town: Any) -> None:
    async with town.db.request(town.tenant_id) as tx:
        for other in ("seqscan", "sort", "bitmapscan"):
            await tx.execute(f"SET LOCAL enable_{other} = off")
        lines = await tx.fetch(f"EXPLAIN {bulks._PAGE}", town.tenant_id, None, int(MessageKind.BULK), None, 20)
    assert "Backward using bulk_to_many" in "\n".join(line[0] for line in lines)


counts = st.integers(0, 3)


@given(st.sampled_from(State), counts, counts, counts, st.sets(st.sampled_from(Missed)))
def test_what_became_of_a_message_is_never_more_than_its_send_knows(
    state: State, accepted: int, unknown: int, stopped: int, missed: set[Missed]
) -> None:
    said = became(Sums(state, accepted + unknown + stopped, accepted, unknown, 0, stopped, 0), missed)
    if missed:
        assert said in (Became.FAILED, Became.SENT_IN_PART, Became.NOT_SENT, Became.SUPPRESSED)
    elif said is Became.ACCEPTED:
        assert accepted
        assert not unknown
    elif said is Became.UNKNOWN:
        assert unknown
