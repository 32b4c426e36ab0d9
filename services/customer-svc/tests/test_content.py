"""What a text says of whom it is from, how to get no more, and what it promotes is read as people write it."""

import pytest

from muster.customer.domain.content import has_link, names, offers_way_out, promotions


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("Reply STOP to opt out", True),
        ("Txt STOP 2 end", True),
        ("STOP to end", True),
        ("Opt-out: reply 'stop'", True),
        ("To unsubscribe: ada.com/u", True),
        ("We open at 9. Stop by any time!", False),
        ("Non-stop music tonight", False),
        ("The bus stop has moved", False),
        ("Zum Abmelden: STOP", True),
        ("STOP au 36111", True),
        ("Para darse de baja responda STOP", True),
        ("Non c'è stop per noi", False),
    ],
)
def test_a_way_out_is_recognised_as_people_write_it(text: str, has: bool) -> None:
    assert offers_way_out(text) is has


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Free coffee with each cut", ["Free coffee"]),
        ("Save $20 today", ["Save $20"]),
        ("Sale! https://x.io/a and www.b.de", ["Sale", "https://x.io/a", "www.b.de"]),
        ("See you at 3.30pm, Dr. Lee", []),
        ("Your table is free at 8", []),
        ("Ada.Smith will be there", []),
    ],
)
def test_offers_and_links_are_found_where_they_stand(text: str, found: list[str]) -> None:
    assert promotions(text) == found


def test_a_business_is_named_however_it_is_written() -> None:
    assert names("Café Zoë", "CAFE ZOE has moved")
    assert names("Ada's Salon", "from AdasSalon")
    assert not names("Ada's Salon", "from Ada")
    assert not names("!!", "anything")
    assert names("!!", "!!: we moved")
    assert not names(" ", "anything")


def test_a_text_that_is_all_labels_of_an_address_is_read_like_any_other() -> None:
    assert not has_link("a." * 19_000)
    assert has_link("a." * 19_000 + "example.com")
