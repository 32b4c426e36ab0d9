"""What is more than one person may send alone is sent when a second one has approved exactly that, once."""

import asyncio
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from gathering import LINK_URL

from muster.customer.domain.approvals import Decision, NotDecided, Rule, State, why_not
from muster.customer.domain.limits import Limits as SendLimits
from muster.customer.scheduler import Limits, Scheduler
from muster.events.v1.approvals_pb2 import APPROVAL_DECISION_APPROVED

ROWS = "Ana,S,0412000001,yes\nBob,S,0412000002,yes\nCyd,S,0412000003,yes\n"
TEXT = "We moved. Salon. STOP to opt out"


@pytest.mark.parametrize(
    ("rule", "credits", "recipients", "needs"),
    [
        (Rule(), 10**9, 10**9, False),
        (Rule(credits_above=3), 3, 9, False),
        (Rule(credits_above=3), 4, 1, True),
        (Rule(recipients_above=3), 9, 3, False),
        (Rule(recipients_above=3), 1, 4, True),
        (Rule(0, 9), 1, 1, True),
    ],
)
def test_a_second_person_is_needed_above_either_threshold(
    rule: Rule, credits: int, recipients: int, needs: bool
) -> None:
    assert rule.needs(credits, recipients) is needs


@pytest.mark.parametrize(
    ("state", "person", "decision", "why"),
    [
        (State.OPEN, "mia", Decision.APPROVED, None),
        (State.OPEN, "ada", Decision.APPROVED, NotDecided.SAME_PERSON),
        (State.OPEN, "bo", Decision.APPROVED, NotDecided.SAME_PERSON),
        (State.OPEN, "ada", Decision.WITHDRAWN, None),
        (State.EXPIRED, "mia", Decision.APPROVED, NotDecided.EXPIRED),
        (State.VOID, "mia", Decision.REFUSED, NotDecided.VOID),
        *((state, "mia", Decision.APPROVED, NotDecided.DECIDED) for state in ("approved", "refused", "used")),
    ],
)
def test_who_made_it_or_asked_does_not_approve_it_and_nobody_what_is_over(
    state: str, person: str, decision: Decision, why: NotDecided | None
) -> None:
    assert why_not(State(state), made_by="bo", asked_by="ada", person=person, decision=decision) is why


async def begin(salon: Any, **rule: Any) -> dict[str, Any]:
    """A rule by which three recipients are too many for one person, and a quote for three."""
    await salon.load(ROWS)
    rule = rule or {"credits_above": 2}
    assert (await salon.ask("PUT", "/v1/approval-rule", rule)).status_code == 200
    return dict(await salon.quote(TEXT))


async def asked(salon: Any, by: str = "admin", **body: Any) -> str:
    answer = await salon.ask("POST", "/v1/approvals", body, by=by)
    assert answer.status_code in (200, 201), answer.text
    return str(answer.json()["id"])


async def decide(salon: Any, approval_id: str, act: str = "approve", by: str = "manager", **body: Any) -> Any:
    return await salon.ask("POST", f"/v1/approvals/{approval_id}/{act}", body, by=by)


async def sent(salon: Any, quote_id: str, by: str = "admin") -> Any:
    return await salon.ask("POST", "/v1/bulk-sms", {"quote_id": quote_id}, by=by, Idempotency_Key=str(uuid4()))


async def state(salon: Any, approval_id: str) -> str:
    return str((await salon.ask("GET", f"/v1/approvals/{approval_id}")).json()["state"])


async def run(salon: Any, *statements: str) -> None:
    connection = await asyncpg.connect(salon.admin_dsn)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_a_send_above_the_threshold_says_how_it_is_approved_and_goes_when_it_is(salon: Any) -> None:
    quote = await begin(salon)
    assert [one["code"] for one in quote["warnings"]] == ["approval_needed"]
    refused = await sent(salon, quote["id"])
    problem = refused.json()
    assert (refused.status_code, problem["code"], problem["quote_id"]) == (409, "approval_needed", quote["id"])
    assert (problem["credits"], problem["recipients"], problem["credits_above"]) == (3, 3, 2)
    assert "POST /v1/approvals" in problem["detail"]

    approval = await asked(salon, quote_id=quote["id"], note="for Monday")
    assert await asked(salon, "manager", quote_id=quote["id"]) == approval  # who asks again gets the same
    listed = (await salon.ask("GET", "/v1/approvals?state=open", by="manager")).json()["items"]
    assert [(one["id"], one["note"], one["asked_by"]) for one in listed] == [(approval, "for Monday", "ada")]
    shown = (await salon.ask("GET", f"/v1/approvals/{approval}", by="manager")).json()
    assert (shown["text"], shown["sender"], shown["credits"]) == (quote["text"], "+61400000000", 3)
    early = (await sent(salon, quote["id"])).json()
    assert (early["code"], "waits for a decision" in early["detail"]) == ("approval_needed", True)

    own = await decide(salon, approval, by="admin")
    assert (own.status_code, own.json()["code"]) == (403, "same_person")
    assert (await decide(salon, approval, by="staff")).status_code == 403
    assert (await decide(salon, approval, by="other")).status_code == 404
    approved = await decide(salon, approval, reason="fine")
    assert (approved.status_code, approved.json()["decided_by"]) == (200, "mia")
    again = await decide(salon, approval)
    assert (again.status_code, again.json()["code"], again.json()["decided_by"]) == (409, "approval_decided", "mia")

    bulk_id = await salon.send(quote["id"])
    used = (await salon.ask("GET", f"/v1/approvals/{approval}")).json()
    assert (used["state"], used["used_by"]) == ("used", bulk_id)
    assert (await salon.bulk(bulk_id))["approval_id"] == approval
    acts = [fact.message.act for fact in await salon.said("ActRecorded")]
    [requested] = [fact.message for fact in await salon.said("ApprovalRequested")]
    assert (requested.approval_id, requested.subject_id, requested.credits, requested.recipients, requested.email) == (
        approval, quote["id"], 3, 3, "",
    )  # fmt: skip
    [decided] = [fact.message for fact in await salon.said("ApprovalDecided")]
    assert (decided.approval_id, decided.decision, decided.decided_by) == (approval, APPROVAL_DECISION_APPROVED, "mia")
    assert [act for act in acts if "approval" in act] == ["rule.approval-set", "approval.asked", "approval.approved"]


async def test_an_approval_is_of_the_quote_that_was_asked_for_and_of_no_other(salon: Any) -> None:
    quote = await begin(salon)
    await decide(salon, await asked(salon, quote_id=quote["id"]))
    other = await salon.quote(TEXT + ".")
    assert (await sent(salon, other["id"])).json()["code"] == "approval_needed"
    # Who asks for the quote of another has not made it: neither of the two approves it.
    approval = await asked(salon, "manager", quote_id=other["id"])
    assert [(await decide(salon, approval, by=by)).json()["code"] for by in ("admin", "manager")] == ["same_person"] * 2


async def test_what_one_person_may_send_alone_needs_nobody(salon: Any) -> None:
    quote = await begin(salon, credits_above=3)
    answer = await salon.ask("POST", "/v1/approvals", {"quote_id": quote["id"]})
    assert (answer.status_code, answer.json()["code"]) == (409, "approval_not_needed")
    assert (await sent(salon, quote["id"])).status_code == 202
    await salon.ask("PUT", "/v1/approval-rule", {"recipients_above": 2})
    assert (await sent(salon, (await salon.quote(TEXT))["id"])).json()["code"] == "approval_needed"


async def test_a_refusal_stands_and_a_request_that_is_withdrawn_can_be_made_again(salon: Any) -> None:
    quote = await begin(salon)
    approval = await asked(salon, quote_id=quote["id"])
    assert (await decide(salon, approval, "refuse")).status_code == 422  # without a reason
    withdrawn = await decide(salon, approval, "refuse", by="admin", reason="a mistake")
    assert withdrawn.json()["state"] == "withdrawn"
    approval = await asked(salon, quote_id=quote["id"])
    refused = (await decide(salon, approval, "refuse", reason="too dear")).json()
    assert (refused["state"], refused["reason"]) == ("refused", "too dear")
    assert (await decide(salon, approval, by="manager")).json()["code"] == "approval_decided"
    answer = await salon.ask("POST", "/v1/approvals", {"quote_id": quote["id"]})
    assert (answer.json()["code"], "too dear" in answer.json()["detail"]) == ("approval_refused", True)
    anyway = (await sent(salon, quote["id"])).json()
    assert (anyway["code"], "That was refused" in anyway["detail"]) == ("approval_needed", True)


async def test_what_has_expired_is_neither_approved_nor_sent(salon: Any) -> None:
    quote = await begin(salon)
    approval = await asked(salon, quote_id=quote["id"])
    await run(salon, "UPDATE approval SET expires_at = kit_now()")
    late = await decide(salon, approval)
    assert (late.status_code, late.json()["code"], await state(salon, approval)) == (409, "approval_expired", "expired")
    approval = await asked(salon, quote_id=quote["id"])
    assert (await decide(salon, approval)).status_code == 200
    await run(
        salon,
        "UPDATE approval SET decided_at = kit_now() - interval '2 h', expires_at = kit_now() - interval '1 h' "
        "WHERE decision = 'approved'",
    )
    assert (await sent(salon, quote["id"])).json()["code"] == "approval_needed"


async def test_of_two_who_decide_at_once_one_does_and_a_send_in_that_moment_is_approved_or_is_not_made(
    salon: Any,
) -> None:
    salon.callers["cleo"] = type(salon.callers["manager"])(salon.tenant_id, "cleo", salon.callers["manager"].role, "")
    await begin(salon)
    for _ in range(5):
        quote = await salon.quote(TEXT)
        approval = await asked(salon, quote_id=quote["id"])
        *decided, send = await asyncio.gather(
            decide(salon, approval),
            decide(salon, approval, by="cleo"),
            decide(salon, approval, "refuse", by="cleo", reason="no"),
            sent(salon, quote["id"]),
        )
        assert sorted(one.status_code for one in decided) == [200, 409, 409]
        if send.status_code == 202:
            assert await state(salon, approval) == "used"
        else:
            assert send.json()["code"] == "approval_needed"
            assert await state(salon, approval) in ("approved", "refused")


async def test_the_database_knows_no_approval_by_one_person_and_no_send_above_what_was_allowed(salon: Any) -> None:
    quote = await begin(salon)
    approval = await asked(salon, quote_id=quote["id"])
    decided = "UPDATE approval SET decision = 'approved', decided_at = kit_now(), decided_by = "
    for by in ("ada", None):
        with pytest.raises(asyncpg.CheckViolationError):
            await run(salon, decided + (f"'{by}'" if by else "NULL"))
    with pytest.raises(asyncpg.CheckViolationError, match="approval_in_time"):
        await run(salon, f"{decided} 'mia', expires_at = kit_now() - interval '1 s'")
    with pytest.raises(asyncpg.CheckViolationError, match="approval_used"):
        await run(salon, "UPDATE approval SET used_by = approval_id")
    await decide(salon, approval)
    await salon.send(quote["id"])
    for more in ("credits_confirmed = 4", "credits_max = 4"):
        with pytest.raises(asyncpg.CheckViolationError, match="bulk_credits_allowed"):
            await run(salon, f"UPDATE bulk SET {more}")


async def test_a_plan_that_comes_to_more_than_was_approved_is_approved_anew(salon: Any) -> None:
    await salon.load("Al,S,0412000001,yes\nBo,S,0412000002,yes\n")
    await salon.ask("PUT", "/v1/approval-rule", {"credits_above": 2})
    quote = await salon.quote("Hi {first_name}. Salon. STOP to opt out" + "x" * 110)
    assert quote["credits"] == 2
    bulk_id = await salon.send(quote["id"])
    people = (await salon.ask("GET", "/v1/customers")).json()["items"]
    for one in people:
        path = f"/v1/customers/{one['id']}"
        assert (await salon.ask("PATCH", path, {"first_name": "A" * 30})).status_code == 200
    await salon.plan()
    assert (await salon.bulk(bulk_id))["state"] == "needs_confirmation"
    path, body = f"/v1/bulk-sms/{bulk_id}/confirm", {"credits": 4}
    refused = (await salon.ask("POST", path, body)).json()
    assert (refused["code"], refused["bulk_id"]) == ("approval_needed", bulk_id)
    approval = await asked(salon, bulk_id=bulk_id)
    assert (await decide(salon, approval, by="admin")).json()["code"] == "same_person"
    assert (await decide(salon, approval)).status_code == 200
    # For no more than what was approved.
    assert (await salon.ask("POST", path, {"credits": 5})).json()["code"] == "approval_needed"
    assert (await salon.ask("POST", path, body)).status_code == 202
    await salon.plan()
    assert (await salon.bulk(bulk_id))["state"] == "waiting"
    assert await state(salon, approval) == "used"


async def scheduled(salon: Any, **members: Any) -> dict[str, Any]:
    body = {"name": "n", "when": {"repeat": {"frequency": "daily", "times": ["10:00"]}, "time_zone": "UTC"}}
    body |= {"text": TEXT, "audience": {"all": True}, "credits_max": 10, **members}
    answer = await salon.ask("POST", "/v1/schedules", body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def started(salon: Any) -> dict[str, Any]:
    """What becomes of the next start, which is due now."""
    await run(salon, "UPDATE schedule SET next_at = kit_now()")
    guard = SendLimits(daily=10)
    scheduler = Scheduler(salon.db, bytes(32), LINK_URL, Limits(10, 1, 60_000), lambda: None, guard=guard)
    assert await scheduler.turn()
    [schedule] = (await salon.ask("GET", "/v1/schedules")).json()["items"]
    return dict((await salon.ask("GET", f"/v1/schedules/{schedule['id']}")).json()["occurrences"][0])


async def test_the_approval_of_a_schedule_is_of_its_version_and_ceiling_and_lasts_for_its_starts(salon: Any) -> None:
    await begin(salon)
    schedule = await scheduled(salon)
    assert (schedule["version"], schedule["approval"]) == (1, "needed")
    first = await started(salon)
    assert (first["outcome"], first["code"], first["credits"]) == ("not_possible", "approval_needed", 3)
    assert await salon.count("velocity") == 0  # nobody is counted who was not sent anything
    approval = await asked(salon, schedule_id=schedule["id"])
    path = f"/v1/schedules/{schedule['id']}"
    assert (await salon.ask("GET", path)).json()["approval"] == "open"
    assert (await decide(salon, approval, by="admin")).json()["code"] == "same_person"
    approved = (await decide(salon, approval)).json()
    assert (approved["credits"], approved["version"], approved["schedule_id"]) == (10, 1, schedule["id"])
    for _ in range(2):
        assert (await started(salon))["outcome"] == "started"
    assert await state(salon, approval) == "approved"
    await salon.ask("PATCH", path, {"credits_max": 1_000})
    assert (await salon.ask("GET", path)).json()["approval"] == "needed"
    assert (await started(salon))["code"] == "approval_needed"
    assert await state(salon, approval) == "void"


async def test_a_start_within_the_threshold_needs_nobody_whatever_the_ceiling_is_and_never_comes_to_more(
    salon: Any,
) -> None:
    await begin(salon, credits_above=3)
    await scheduled(salon, above_credits_max="first_n")
    start = await started(salon)
    assert start["outcome"] == "started"
    assert (await salon.bulk(start["bulk_id"]))["credits_quoted"] == 3


async def test_the_rule_is_an_admin_s_to_set(salon: Any) -> None:
    path = "/v1/approval-rule"
    assert (await salon.ask("GET", path, by="staff")).json()["credits_above"] is None
    rule = {"credits_above": 500, "recipients_above": None, "email": "owner@salon.example"}
    assert [(await salon.ask("PUT", path, rule, by=by)).status_code for by in ("staff", "manager", "admin")] == [
        403,
        403,
        200,
    ]
    shown = (await salon.ask("GET", path, by="manager")).json()
    assert ({name: shown[name] for name in rule}, shown["changed_by"]) == (rule, "ada")
    for email in ("nobody", "a@b.c\r\nBcc: d@e.f", "=?utf-8?q?a?=@b.c"):
        assert (await salon.ask("PUT", path, {"email": email})).status_code == 422
    assert (await salon.ask("PUT", path, {"credits_above": -1})).status_code == 422
    assert (await salon.ask("GET", path, by="other")).json()["email"] == ""


async def test_what_is_not_there_or_not_one_thing_cannot_be_asked_for(salon: Any) -> None:
    quote = await begin(salon)
    for body in ({}, {"quote_id": quote["id"], "bulk_id": quote["id"]}):
        answer = await salon.ask("POST", "/v1/approvals", body)
        assert answer.json()["errors"][0]["code"] == "one_subject"
    for name in ("quote_id", "bulk_id", "schedule_id"):
        assert (await salon.ask("POST", "/v1/approvals", {name: str(uuid4())})).status_code == 404
    assert (await salon.ask("POST", "/v1/approvals", {"quote_id": quote["id"]}, by="other")).status_code == 404
