"""What a reply answers and asks for, as tables."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from muster.reply.domain import (
    AnswerReason,
    Attribution,
    Inbound,
    Known,
    Reply,
    Scope,
    Sent,
    Tenant,
    Verdict,
    attribute,
    read,
)

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
TENANT = Tenant(UUID(int=1), 1, "Salon Rosa", "AU", "Australia/Sydney", True, "desk@rosa.example")
NUMBER_HASH = bytes(17)


def sent(number: int, *, ago: timedelta, dispatched: bool = True) -> Sent:
    return Sent(UUID(int=number), number, NOW - ago, dispatched)


def reply(text: str, known: Known | None = None) -> Reply:
    inbound = Inbound(TENANT.tenant_id, UUID(int=9), "+61400000001", NUMBER_HASH, text, NOW)
    return read(inbound, known or Known(TENANT, [], {}))


def test_a_reply_answers_the_newest_message_to_its_number() -> None:
    older, newer = sent(1, ago=timedelta(days=9)), sent(2, ago=timedelta(hours=1))

    assert attribute([older, newer], NOW) == Attribution(newer, doubtful=False)


def test_two_messages_within_a_week_are_doubt_and_the_newest_is_taken() -> None:
    older, newer = sent(1, ago=timedelta(days=2)), sent(2, ago=timedelta(hours=1))

    assert attribute([older, newer], NOW) == Attribution(newer, doubtful=True)


def test_a_message_that_is_only_planned_comes_after_one_that_left() -> None:
    left, planned = sent(1, ago=timedelta(hours=2)), sent(2, ago=timedelta(hours=1), dispatched=False)

    assert attribute([left, planned], NOW).sent is left
    assert attribute([planned], NOW).sent is planned


@pytest.mark.parametrize("ago", [timedelta(days=31), -timedelta(minutes=6)])
def test_a_message_too_old_or_of_the_future_is_not_answered(ago: timedelta) -> None:
    assert attribute([sent(1, ago=ago)], NOW) == Attribution()


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("See you at ten", Verdict.ORDINARY),
        ("STOP", Verdict.OPT_OUT),
        ("Stop. Thank you", Verdict.OPT_OUT),
        ("START", Verdict.OPT_IN),
        ("help", Verdict.HELP),
        ("", Verdict.ORDINARY),
    ],
)
def test_a_reply_is_read(text: str, verdict: Verdict) -> None:
    assert reply(text).verdict is verdict


def test_what_nobody_had_read_before_its_writer_was_erased_ends_no_hold() -> None:
    taken_out = Inbound(TENANT.tenant_id, UUID(int=9), "", NUMBER_HASH, "", NOW)

    told = read(taken_out, Known(TENANT, [], {}))

    assert (told.verdict, told.rule, told.erased, told.answer, told.forward_to) == (
        Verdict.UNCLEAR, "erased", True, None, None,
    )  # fmt: skip


def test_an_opt_out_is_confirmed_once_a_day_and_by_name() -> None:
    first = reply("STOP").answer
    assert first is not None
    assert first.reason is AnswerReason.CONFIRMATION
    assert first.text.startswith("Salon Rosa: you have opted out")

    lately = Known(TENANT, [], {AnswerReason.CONFIRMATION: NOW - timedelta(hours=23)})
    long_ago = Known(TENANT, [], {AnswerReason.CONFIRMATION: NOW - timedelta(hours=25)})
    assert reply("STOP", lately).answer is None
    assert reply("STOP", long_ago).answer == first


def test_help_is_answered_and_an_ordinary_reply_is_not() -> None:
    answer = reply("HELP").answer
    assert answer is not None
    assert "STOP" in answer.text
    assert reply("See you at ten").answer is None
    assert reply("START").answer is None


def test_stopall_reaches_every_message() -> None:
    answer = reply("STOPALL").answer
    assert reply("STOPALL").scope is Scope.ALL
    assert answer is not None
    assert "no more messages." in answer.text


@pytest.mark.parametrize(
    ("tenant", "to"),
    [
        (TENANT, "desk@rosa.example"),
        (Tenant(TENANT.tenant_id, allow_sms_replies=False, reception_email="desk@rosa.example"), None),
        (Tenant(TENANT.tenant_id, allow_sms_replies=True), None),
        (Tenant(TENANT.tenant_id, allow_sms_replies=True, reception_email="a@b.example", closed=True), None),
    ],
)
def test_a_reply_goes_to_the_reception_where_replies_are_allowed(tenant: Tenant, to: str | None) -> None:
    assert reply("See you", Known(tenant, [], {})).forward_to == to
    assert reply("STOP", Known(tenant, [], {})).forward_to == to


def test_what_a_person_wrote_before_the_erasure_is_neither_forwarded_nor_answered() -> None:
    gone = reply("STOP", Known(TENANT, [], {}, erased_at=NOW + timedelta(days=1)))
    later = reply("STOP", Known(TENANT, [], {}, erased_at=NOW - timedelta(days=1)))

    assert (gone.erased, gone.forward_to, gone.answer, gone.verdict) == (True, None, None, Verdict.OPT_OUT)
    assert (later.erased, later.forward_to) == (False, "desk@rosa.example")


def by_sender(number: int, sender: str, *, ago: timedelta) -> Sent:
    return replace(sent(number, ago=ago), sender=sender)


@pytest.mark.parametrize(
    ("to", "answered", "doubtful"),
    [
        ("61480000001", 1, False),
        ("+61480000001", 1, False),
        ("61480000002", 2, False),
        ("61480000003", 2, True),
        ("", 2, True),
    ],
)
def test_a_reply_answers_the_newest_message_from_the_number_that_was_written_to(
    to: str, answered: int, doubtful: bool
) -> None:
    messages = [
        by_sender(1, "+61480000001", ago=timedelta(days=2)),
        by_sender(2, "+61480000002", ago=timedelta(hours=1)),
    ]

    found = attribute(messages, NOW, to)

    assert found == Attribution(messages[answered - 1], doubtful)


def test_a_message_from_a_name_may_be_answered_at_any_number() -> None:
    named = by_sender(1, "Salon Rosa", ago=timedelta(hours=1))

    assert attribute([named, by_sender(2, "61480000002", ago=timedelta(hours=2))], NOW, "61480000009").sent is named
