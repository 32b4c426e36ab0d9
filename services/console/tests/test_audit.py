"""Who did what: told in sentences and names, found by day and by act."""

import re

import pytest

from muster.console import strings
from muster.kit.acts import Act

SEND = "01931f5e-7b1c-7000-8000-00005e5e7b1c"


@pytest.fixture
def log(api, said):
    acts = [
        said.done("bulk-sms.stopped", SEND),
        said.done("tenant.limited", "t1", user_id="x9", role="operator", reason="known to us"),
        said.done("user.password-reset-asked", "u1", user_id="", role="staff"),
        said.done("rule-of-old", "r1", says="rule-of-old"),
    ]
    api.answers |= {
        "GET /v1/audit": (200, {"items": acts, "next_cursor": "c2"}),
        "GET /v1/users": (200, said.USERS),
    }
    return api


def rows_of(page) -> list[str]:
    rows = page.text.split("<tbody>")[1].split("</tbody>")[0].split("</tr>")[:-1]
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in rows]


async def test_each_act_is_a_sentence_with_the_name_of_who_did_it(member, log):
    page = await member.get("/settings/audit")
    when = "28 Nov 2026, 11:00:00 am"
    assert rows_of(page) == [
        f"Did bulk-sms.stopped Send …5e7b1c Ann, admin {when}",
        f"Did tenant.limited Business t1 · known to us Muster, operator {when}",
        f"Did user.password-reset-asked User Ann Nobody signed in {when}",
        f"rule-of-old rule-of-old r1 Ann, admin {when}",
    ]
    assert f'href="/sends/{SEND}"' in page.text


async def test_a_day_is_a_day_of_the_business_and_the_last_one_is_in(member, log):
    page = await member.get("/settings/audit?from=2026-10-03&to=2026-10-04&act=customer.added&user_id=u1")
    (asked,) = log.asked("GET /v1/audit")
    # The second of these days has 23 hours in Sydney.
    days = {"from": "2026-10-03T00:00:00+10:00", "to": "2026-10-05T00:00:00+11:00"}
    assert dict(asked.url.params) == {"limit": "50", "act": "customer.added", "user_id": "u1", **days}
    assert "?user_id=u1&amp;act=customer.added&amp;from=2026-10-03&amp;to=2026-10-04&amp;cursor=c2" in page.text


async def test_days_the_wrong_way_round_are_refused_and_what_is_no_day_or_act_is_left_out(member, log):
    page = await member.get("/settings/audit?from=2026-10-04&to=2026-10-03")
    assert page.status_code == 422
    assert "The last day comes before the first." in page.text
    assert not log.asked("GET /v1/audit")
    await member.get("/settings/audit?from=yesterday&to=9999-12-31&act=send-requested")
    (asked,) = log.asked("GET /v1/audit")
    assert dict(asked.url.params) == {"limit": "50"}


async def test_an_operator_reads_the_platforms_own_log_and_no_tab_leads_where_they_may_not(member, log):
    log.role = "operator"
    page = await member.get("/settings/audit")
    assert "Did bulk-sms.stopped" in page.text
    assert f'href="/sends/{SEND}"' not in page.text
    for path in re.findall(r'href="(/settings/[^"?]*)"', page.text.split('<ul class="tabs">')[1].split("</ul>")[0]):
        assert (await member.get(path)).status_code != 403, path


def test_whatever_an_act_is_done_to_has_a_word():
    assert {f"subject.{act.kind}" for act in Act} == {key for key in strings.entries() if key.startswith("subject.")}
