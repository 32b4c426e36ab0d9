"""Who came to be whom a send is for after it was quoted is left out; who was before is not, whatever else changed."""

from typing import Any

from test_consents import add

from muster.customer.handlers.audience_changes import forget_how_they_were

TEXT = "Hi all"


async def change(salon: Any, customer: int, **members: Any) -> None:
    assert (await salon.ask("PATCH", f"/v1/customers/{customer}", members)).status_code == 200


async def on_list(salon: Any, list_id: str, *customers: int) -> None:
    path = f"/v1/lists/{list_id}/members"
    assert (await salon.ask("POST", path, {"customer_ids": list(customers)})).status_code < 300


async def outcomes(salon: Any, quote: Any, *customers: int) -> list[str]:
    """Of a send, planned now: why each customer is out of it, "" for in."""
    bulk_id = await salon.send(quote["id"])
    await salon.plan()
    paths = [f"/v1/bulk-sms/{bulk_id}/customers/{one}" for one in customers]
    return [(await salon.ask("GET", path)).json()["reason"] or "" for path in paths]


CHOOSING: list[Any] = [
    {"tag": "vip"},
    {"tags": ["vip", "gold"]},
    {"query": "tag is vip and visits at most 3"},
    {"all": True, "exclude": {"query": "tag is not vip"}},
    {"query": "not tag is blank", "exclude": {"tags": ["plain"]}},
]


async def test_who_is_changed_so_that_they_fit_is_left_out(salon: Any) -> None:
    told = {"allow_bulk_sms": True, "own_fields": {"visits": "1"}}
    before = await add(salon, "0412 000 001", **told, tags=["vip"])
    later = await add(salon, "0412 000 002", **told, tags=["plain"])
    again = await add(salon, "0412 000 003", **told, tags=["vip"])
    assert (await salon.ask("PUT", "/v1/own-fields/visits", {"name": "Visits", "kind": "number"})).status_code < 300
    quotes = [await salon.quote(TEXT, audience) for audience in CHOOSING]
    assert [one["recipients"] for one in quotes] == [2] * len(CHOOSING)

    await change(salon, before, first_name="Anna", own_fields={"visits": "2"})
    await change(salon, later, tags=["vip"])
    for tags in ([], ["vip"]):
        await change(salon, again, tags=tags)

    for audience, quote in zip(CHOOSING, quotes, strict=True):
        assert await outcomes(salon, quote, before, later, again) == ["", "joined_later", ""], audience
    assert await outcomes(salon, await salon.quote(TEXT, CHOOSING[0]), later) == [""]


async def test_who_comes_onto_a_list_later_is_left_out_also_by_a_file(salon: Any) -> None:
    before, later, changed = [await add(salon, f"0412 000 00{n}", allow_bulk_sms=True) for n in (1, 2, 3)]
    made = await salon.ask("POST", "/v1/lists", {"name": "Regulars", "customer_ids": [before, changed]})
    quotes = [await salon.quote(TEXT, one) for one in ({"lists": ["Regulars"]}, {"query": "list is regulars"})]

    await on_list(salon, made.json()["id"], before, later)
    await change(salon, changed, first_name="Anna")
    await salon.load("Zoe,Z,0412000004,yes\nAda,A,0412000005,yes\n", list="Regulars")
    [zoe] = (await salon.ask("GET", "/v1/customers?query=zoe")).json()["items"]

    for quote in quotes:
        wanted = ["", "joined_later", "", "joined_later"]
        assert await outcomes(salon, quote, before, later, changed, zoe["id"]) == wanted, quote["id"]


async def test_whose_consent_covers_the_message_only_later_is_left_out(salon: Any) -> None:
    ticked, silent, asked = [
        await add(salon, f"0412 000 00{n}", allow_bulk_sms=allows) for n, allows in ((1, True), (2, None), (3, None))
    ]
    unclear = [await add(salon, f"0412 000 00{n}", allow_bulk_sms=True, consent="none") for n in (4, 5, 6)]
    quote = await salon.quote(TEXT)
    express = {"kind": "express", "source": "person", "wording": "Text me"}
    for one, said in (
        *((ticked, express), (silent, express), (asked, {**express, "number": "0412 000 003"})),
        (unclear[0], {"kind": "inferred"}),
    ):
        assert (await salon.ask("POST", f"/v1/customers/{one}/consents", said)).status_code == 201
    await change(salon, unclear[1], consent="inferred")
    await salon.load("0412000006,yes\n", "mobile,allow bulk sms", match="number")
    wanted = ["", *["joined_later"] * 5]
    assert await outcomes(salon, quote, ticked, silent, asked, *unclear) == wanted


async def test_how_customers_were_is_kept_for_quotes_that_choose_and_forgotten_behind_them(salon: Any) -> None:
    ana = await add(salon, "0412 000 001", allow_bulk_sms=True, tags=["vip"])
    await salon.quote(TEXT)
    await change(salon, ana, first_name="Anna")
    assert await salon.count("customer_was") == 0, "a quote for everybody needs none"
    await salon.quote(TEXT, {"tag": "vip"})
    await change(salon, ana, first_name="Ann")
    assert await salon.count("customer_was") == 1
    await forget_how_they_were(salon.db, 24)
    assert await salon.count("customer_was") == 1
    await forget_how_they_were(salon.db, -3)
    assert await salon.count("customer_was") == 0
    await change(salon, ana, first_name="Anja")
    assert (await salon.ask("DELETE", f"/v1/customers/{ana}")).status_code == 204
    assert await salon.count("customer_was") == 0, "nothing of who is gone stays here"


async def test_who_has_another_number_by_a_file_is_left_out_as_by_hand(salon: Any) -> None:
    by_file, named, by_hand = [
        await add(salon, f"0412 000 00{n}", allow_bulk_sms=True, own_fields={"member": f"M{n}"}) for n in (1, 2, 3)
    ]
    quote = await salon.quote(TEXT)
    rows = "M1,Ann,0412 000 011\nM2,Bea,0412 000 002\n"
    await salon.load(rows, "member,first name,mobile", match="field:member")
    await change(salon, by_hand, mobiles=["0412 000 013"])
    assert await outcomes(salon, quote, by_file, named, by_hand) == ["joined_later", "", "joined_later"]
