"""A link of a message is its recipient's own and cannot be guessed; one tap on its page ends marketing."""

import random
import re
from typing import Any
from uuid import UUID

import pytest
from gathering import LINKS
from hypothesis import given
from hypothesis import strategies as st

from muster.customer.domain.links import PLACEHOLDER, TOKEN_CHARACTERS, Links, Place
from muster.customer.handlers import facts as handlers
from muster.customer.store import links
from muster.events import NIL_TENANT
from muster.events.v1.platform_pb2 import SENDER_STANDING_ACTIVE, SenderChanged
from muster.text import count_parts

PLACES = st.builds(Place, st.integers(0, 2**36 - 1), st.integers(0, 2**18 - 1), st.integers(0, 2**10 - 1))
ROWS = "Ana,S,0412000001,yes\nBob,S,0412000002,yes\nCat,S,0412000003,yes\n"
URL = re.compile(r"https://muster\.example(/o/[0-9A-Za-z]{16})")


@given(PLACES)
def test_a_token_says_its_place_to_who_has_the_key_alone(place: Place) -> None:
    token = LINKS.token(place)
    assert re.fullmatch(f"[0-9A-Za-z]{{{TOKEN_CHARACTERS}}}", token)
    assert LINKS.read(token) == place
    assert Links(b"another").read(token) is None


def test_no_token_is_the_place_that_is_kept_for_it_and_a_changed_one_is_none() -> None:
    assert LINKS.read(PLACEHOLDER.removeprefix("/o/")) is None
    chance, token = random.Random(1), LINKS.token(Place(7, 3, 499))
    for _ in range(300):
        at = chance.randrange(TOKEN_CHARACTERS)
        other = token[:at] + chance.choice("0123456789abcXYZ") + token[at + 1 :]
        assert other == token or LINKS.read(other) is None
    for wrong in ("", token[:-1], f"{token}a", "z" * 16, "ü" * 16, "../../etc/passwd"):
        assert LINKS.read(wrong) is None


@pytest.mark.parametrize("place", [Place(2**36, 1, 1), Place(1, 2**18, 1), Place(1, 1, 2**10), Place(1, 1, -1)])
def test_a_place_that_no_token_can_say_is_refused(place: Place) -> None:
    with pytest.raises(ValueError, match="no link can say"):
        LINKS.token(place)


async def named(salon: Any) -> None:
    """A name by which the salon sends, that does not name it."""
    own = SenderChanged(
        tenant_id=str(NIL_TENANT), owner_tenant_id=str(salon.tenant_id), sender="HAIRDO", version=1, active=True,
        standing=SENDER_STANDING_ACTIVE,
    )  # fmt: skip
    await salon.hear(handlers.on_sender_changed, own)


async def links_of(salon: Any, bulk_id: str) -> dict[int, str]:
    """The path of each number's link."""
    chunks = [one.message for one in await salon.said("BulkRecipientsAttached") if one.message.bulk_id == bulk_id]
    found = {}
    for chunk in chunks:
        for nth, number in enumerate(chunk.number):
            text = chunk.text[chunk.text_index[nth] if chunk.text_index else 0]
            [found[number]] = URL.findall(text)
            assert count_parts(text, 8)[1] == chunk.parts[nth]
    return found


async def test_who_is_texted_by_a_name_gets_a_link_of_their_own_at_the_price_that_was_quoted(salon: Any) -> None:
    await named(salon)
    await salon.load(ROWS)
    quote = await salon.quote("Hello {{first_name}}, we moved. " + "x" * 60, sender="HAIRDO")
    assert quote["text"].startswith("Salon: Hello {{first_name}}")
    assert [one["what"] for one in quote["added"]] == ["identity", "way_out"]
    assert quote["added"][1]["text"] == f"Opt out: https://muster.example{PLACEHOLDER}"
    bulk_id = await salon.send(quote["id"])
    await salon.plan()
    own = await links_of(salon, bulk_id)
    assert len(set(own.values())) == 3
    [requested] = await salon.said("BulkSmsRequested")
    assert requested.message.credits == quote["credits"] == 3 * 1


async def test_one_tap_ends_marketing_and_looking_changes_nothing(salon: Any) -> None:
    await named(salon)
    await salon.load(ROWS)
    bulk_id = await salon.send((await salon.quote("We moved", sender="HAIRDO"))["id"])
    await salon.plan()
    path = (await links_of(salon, bulk_id))[61412000002]

    for _ in range(2):
        shown = await salon.http.get(path)
        assert (shown.status_code, "Stop texts from Salon?" in shown.text) == (200, True)
        assert "default-src 'none'" in shown.headers["content-security-policy"]
    assert (await salon.quote("Hi"))["recipients"] == 3
    for _ in range(2):
        taken = await salon.http.post(path)
        assert (taken.status_code, "You get no more" in taken.text) == (200, True)
    assert "You get no more" in (await salon.http.get(path)).text

    after = await salon.quote("Hi")
    assert (after["recipients"], after["left_out"]["opted_out"]) == (2, 1)
    assert (await salon.quote("Your bill", **{"class": "factual"}))["recipients"] == 3
    [stop] = await salon.said("SuppressionChanged")
    assert (stop.message.version, stop.message.suppressed) == (1, True)
    [known] = (await salon.ask("GET", "/v1/suppressions")).json()["items"]
    assert (known["number"], known["source"], known["scope"]) == ("+61412000002", "link", "marketing")


async def test_a_link_that_was_not_sent_is_not_known(salon: Any) -> None:
    unsent = [LINKS.token(Place(1, 1, 0)), LINKS.token(Place(2**36 - 1, 1, 0)), "0" * 16, "x", "%00", "a" * 500]
    for token in unsent:
        for method in ("GET", "POST"):
            answer = await salon.http.request(method, f"/o/{token}")
            assert (answer.status_code, "not known" in answer.text) == (404, True), token


async def test_single_marketing_messages_have_links_too(salon: Any) -> None:
    await named(salon)
    await salon.load(ROWS)
    body = {"text": "See you?", "class": "marketing", "sender": "HAIRDO"}
    several = {"messages": [{**body, "to": f"041200000{n}"} for n in (1, 2)]}
    answer = await salon.ask("POST", "/v1/messages", several)
    assert answer.status_code == 202, answer.text
    [bulk_id] = {one["bulk_id"] for one in answer.json()["messages"]}
    own = await links_of(salon, bulk_id)
    assert len(set(own.values())) == 2
    assert "Salon" in (await salon.http.get(own[61412000001])).text
    assert (await salon.http.post(own[61412000001])).status_code == 200
    again = await salon.ask("POST", "/v1/messages", {**body, "to": "0412000001"})
    assert again.json()["code"] == "opted_out"


async def test_numbers_of_sends_are_their_own_and_stay(salon: Any) -> None:
    sends = [(salon.tenant_id, UUID(int=n)) for n in (3, 1, 2)]
    async with salon.db.worker() as tx:
        first = await links.number_sends(tx, sends[:2])
        *same, third = await links.number_sends(tx, sends)
        assert same == first
        assert len({*first, third}) == 3
        assert await links.send_of(tx, first[0]) == sends[0]
