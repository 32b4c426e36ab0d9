"""A sender dies in the middle of a send: every recipient ends in one state, nobody gets it twice, books balance."""

import pytest
from e2e_world import STATES, World, eventually

from muster.client.commands.laws import settled_laws

pytestmark = pytest.mark.e2e

RECIPIENTS = 20_000


def test_kill_9_of_the_sender_in_the_middle_of_20000_messages(world: World) -> None:
    business = world.business(credits=RECIPIENTS)
    numbers = business.customers(RECIPIENTS)
    world.faults(response_delay_ms=100, receipt_delay_ms=200)
    bulk_id = business.send()
    eventually(lambda: business.progress(bulk_id)["queued"] < RECIPIENTS * 0.8)

    world.stack.kill("dispatch.sender.0")

    world.faults(response_delay_ms=0)
    eventually(lambda: everyone_has_left(business.progress(bulk_id)))
    accepted = world.stats(numbers)
    assert max(accepted.values()) == 1, "nobody gets it twice"
    progress = business.progress(bulk_id)
    assert sum(progress[state] for state in STATES) == RECIPIENTS
    report = [row["number"] for row in business.ask.report(bulk_id=bulk_id, limit=500)]
    assert sorted(report) == sorted(numbers), "every recipient is in the report once"
    unsent = sum(1 for count in accepted.values() if not count)
    assert unsent <= progress["unknown"], "only an unknown message may not have been sent"
    account = business.ask.credits()
    assert account["granted"] == account["available"] + account["reserved"] + account["consumed"]
    assert account["reserved"] == progress["unknown"], "only what is unknown is held"
    assert broken(world) == []


def everyone_has_left(progress: dict[str, int]) -> bool:
    return (
        progress["recipients"] == RECIPIENTS and not progress["queued"] + progress["submitting"] + progress["accepted"]
    )


def broken(world: World) -> list[object]:
    return [law.violations for law in settled_laws(world.operator, 30.0) if law.violation_count]


@pytest.mark.parametrize(
    "process",
    [
        "customer.worker.0",
        "credit.worker.0",
        "dispatch.worker.0",
        "report.worker.0",
        "reply.worker.0",
        "dispatch.api.0",
    ],
)
def test_kill_9_of_any_other_process_changes_nothing(world: World, process: str) -> None:
    business = world.business(credits=3_000)
    numbers = business.customers(1_200)
    world.faults(response_delay_ms=50)
    quote = business.ask.quote("Hello {{first_name}}. STOP to opt out")
    bulk_id = business.ask.send(quote["id"])["id"]

    world.stack.kill(process)

    business.ended(bulk_id)
    assert set(world.stats(numbers).values()) == {1}
    eventually(lambda: business.ask.credits()["reserved"] == 0)
    assert business.ask.credits()["consumed"] == 1_200
    assert business.progress(bulk_id)["delivered"] == 1_200
