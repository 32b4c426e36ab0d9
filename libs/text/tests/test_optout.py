import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.text import Reading, Verdict, read_reply

# Replies as people write them, by what they mean.
REPLIES: dict[str, list[str]] = json.loads((Path(__file__).parent / "replies.json").read_text("utf-8"))


@pytest.mark.parametrize(
    ("verdict", "reply"), [(verdict, reply) for verdict, replies in REPLIES.items() for reply in replies]
)
def test_a_reply_is_read_as_it_was_meant(verdict: str, reply: str) -> None:
    assert read_reply(reply).verdict.name == verdict


@pytest.mark.parametrize(
    ("reply", "scope"),
    [
        ("STOP", "marketing"),
        ("unsubscribe", "marketing"),
        ("please stop texting me", "marketing"),
        ("stop sending me any promos", "marketing"),
        ("STOPALL", "all"),
        ("stop all", "all"),
        ("Stop all messages", "all"),
        ("never contact me again", "all"),
        ("I revoke my consent", "all"),
        ("leave me alone", "all"),
    ],
)
def test_an_opt_out_reaches_as_far_as_its_words(reply: str, scope: str) -> None:
    reading = read_reply(reply)
    assert (reading.verdict, reading.scope) == (Verdict.OPT_OUT, scope)


def test_the_rule_that_decided_is_named() -> None:
    assert read_reply("Stop. Thank you") == Reading(Verdict.OPT_OUT, "keyword", "marketing")
    assert read_reply("don't stop").rule == "negated"
    assert read_reply("take me off your list").rule == "off_the_list"


def test_only_the_first_thousand_characters_are_read() -> None:
    assert read_reply("see you there. " * 100 + "STOP").verdict is Verdict.NONE
    assert read_reply("STOP. " + "see you there. " * 100).verdict is Verdict.OPT_OUT


@given(st.sampled_from(REPLIES["OPT_OUT"]), st.sampled_from([str.upper, str.lower, str.title]))
def test_case_does_not_change_an_opt_out(reply: str, change: Callable[[str], str]) -> None:
    assert read_reply(change(reply)).verdict is Verdict.OPT_OUT


@given(
    st.text(st.sampled_from("\u200b\u200d\u202e\u2060\ufe0f \n.!?🙏"), max_size=8),
    st.text(st.sampled_from(" \n.!🙏"), max_size=8),
)
def test_what_surrounds_a_keyword_unseen_does_not_hide_it(before: str, after: str) -> None:
    assert read_reply(f"{before}STOP{after}").verdict is Verdict.OPT_OUT


@given(st.text(max_size=1_500))
def test_every_text_has_a_reading(text: str) -> None:
    assert isinstance(read_reply(text), Reading)
