"""Who says again what is so already has changed nothing, and the audit log tells nothing of it."""

from typing import Any

import pytest

WORDS = {"identity": "{business} here. ", "reply": "STOP to end", "by_link": "Unsubscribe: {link}"}


@pytest.mark.parametrize(
    ("path", "first", "other", "act"),
    [
        ("approval-rule", {"credits_above": 5}, {"credits_above": 5, "email": "b@c.example"}, "rule.approval-set"),
        ("frequency-cap", {"messages": 1, "days": 7}, {"messages": 1, "days": 8}, "rule.frequency-cap-set"),
        ("notices", WORDS, {**WORDS, "languages": {"de": WORDS}}, "rule.notices-set"),
        ("own-fields/visits", {"name": "A", "kind": "number"}, {"name": "B", "kind": "number"}, "own-field.defined"),
        ("searches/vip", {"query": "tag is vip"}, {"query": "tag is old"}, "search.saved"),
        ("suppressions/undeliverable/rule", {"failures": 3}, {"failures": 4}, "rule.undeliverable-set"),
    ],
)
async def test_a_setting_is_told_when_it_is_another(
    salon: Any, path: str, first: dict[str, Any], other: dict[str, Any], act: str
) -> None:
    for body in (first, first, other, other):
        answer = await salon.ask("PUT", f"/v1/{path}", body)
        assert answer.status_code == 200, answer.text
        assert {**answer.json(), **body} == answer.json()
    assert [said.message.act for said in await salon.said("ActRecorded")] == [act, act]


async def test_a_limit_is_taken_off_once(salon: Any) -> None:
    await salon.ask("PUT", "/v1/frequency-cap", {"messages": 1, "days": 7})
    assert [(await salon.ask("DELETE", "/v1/frequency-cap")).status_code for _ in range(2)] == [204, 204]
    acts = [said.message.act for said in await salon.said("ActRecorded")]
    assert acts == ["rule.frequency-cap-set", "rule.frequency-cap-removed"]
