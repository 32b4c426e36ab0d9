"""A file puts those in it on a list, or makes a list of them and takes all others off: at its end, as a whole."""

from typing import Any

from importing import importer_of
from test_import_choices import load, people
from test_importer import finish, upload

ROWS = "1,Ana,S,0412000001,yes\n2,Bob,S,0412000002,yes\n"
MORE = "2,Bob,S,0412000002,yes\n3,Cat,S,0412000003,yes\n"


async def lists(salon: Any) -> dict[str, list[str]]:
    """First names by list."""
    found = (await salon.ask("GET", "/v1/lists")).json()["items"]
    pages = {one["name"]: await salon.ask("GET", f"/v1/lists/{one['id']}/members") for one in found}
    return {name: [one["first_name"] for one in page.json()["items"]] for name, page in pages.items()}


async def test_everybody_in_a_file_comes_onto_a_list_also_who_is_known_and_may_not_be_changed(salon: Any) -> None:
    first = await load(salon, ROWS, list=" Spring\tsale")
    assert (first["list"], first["listed"], first["removed"], first["problem"]) == ("Spring sale", 2, 0, None)
    added = await load(salon, MORE, list="spring SALE", mode="add")
    assert (added["list_id"], added["listed"], added["created"], added["unchanged"]) == (first["list_id"], 1, 1, 1)
    gone = (await people(salon))[0]["id"]
    await salon.ask("PATCH", f"/v1/customers/{gone}", {"consent": "withdrawn"})
    updated = await load(salon, ROWS + "9,Dan,S,0412000009,yes\n", list="known", mode="update")
    assert (updated["listed"], updated["rejected"]) == (2, 1)
    assert await lists(salon) == {"known": ["Ana", "Bob"], "Spring sale": ["Ana", "Bob", "Cat"]}
    assert [one["tags"] for one in await people(salon)] == [[], [], []]


async def test_a_list_is_replaced_by_those_in_the_file_and_the_same_file_again_changes_nothing(salon: Any) -> None:
    await load(salon, ROWS, list="VIP")
    rows = MORE + "4,Dan,S,banana,yes\n2,Bob,S,0412000002,\n"
    done = await load(salon, rows, mode="replace_list", list="vip")
    assert (done["created"], done["unchanged"], done["rejected"], done["listed"], done["removed"]) == (1, 1, 2, 1, 1)
    assert await lists(salon) == {"VIP": ["Bob", "Cat"]}
    [vip] = (await salon.ask("GET", "/v1/lists")).json()["items"]
    again = await load(salon, rows, mode="replace_list", list="vip")
    assert (again["created"], again["updated"], again["listed"], again["removed"]) == (0, 0, 0, 0)
    assert (await salon.ask("GET", "/v1/lists")).json()["items"] == [vip]
    assert [one["version"] for one in await people(salon)] == [1, 1, 1]
    made = await load(salon, ROWS, mode="replace_list", list="new")
    assert (made["listed"], made["removed"]) == (2, 0)


async def test_until_its_end_an_import_changes_nothing_of_a_list_whoever_dies_or_cancels_it(
    salon: Any, settings: Any
) -> None:
    await load(salon, ROWS, list="VIP")
    rows = "".join(f"{n},P{n},S,04120{n:05},yes\n" for n in range(10, 120))
    content = f"Customer no,First name,Last name,Mobile,Allow Bulk SMS\n{rows}".encode()
    importer = salon.http._transport.app.state.importer
    for ends in ("cancelled", "done"):
        job = await upload(salon, content, settings, "?mode=replace_list&list=VIP")
        await importer.read_turn()
        for _ in range(3):  # what it is looked up in, and two of its three blocks
            assert await importer.apply_turn()
        assert await lists(salon) == {"VIP": ["Ana", "Bob"]}
        if ends == "cancelled":
            await salon.ask("POST", f"/v1/customers/imports/{job['id']}/cancel")
    # Somebody else takes it over, and one of those in it is merged into another customer meanwhile.
    found = {one["first_name"]: one["id"] for one in await people(salon) + await page_two(salon)}
    merged = await salon.ask("POST", f"/v1/customers/{found['Ana']}/merge", {"customer_id": found["P10"]})
    assert merged.status_code == 200, merged.text
    await finish(importer)
    assert (await salon.ask("GET", f"/v1/customers/imports/{job['id']}")).json()["state"] == "done"
    [vip] = (await salon.ask("GET", "/v1/lists")).json()["items"]
    assert vip["customers"] == 110
    page = (await salon.ask("GET", f"/v1/lists/{vip['id']}/members?limit=2")).json()["items"]
    assert [one["first_name"] for one in page] == ["Ana", "P11"]


async def page_two(salon: Any) -> list[Any]:
    page = (await salon.ask("GET", "/v1/customers")).json()
    return list((await salon.ask("GET", f"/v1/customers?cursor={page['next_cursor']}")).json()["items"])


async def test_a_list_that_may_not_be_made_or_grow_so_far_is_told_and_stays_as_it_was(
    salon: Any, settings: Any
) -> None:
    await load(salon, ROWS, list="VIP")
    for name, limit, code in (("other", "customer_lists_max", "too_many_lists"),
                              ("vip", "customer_list_members_max", "list_too_long")):  # fmt: skip
        small = settings.model_copy(update={limit: 2 if name == "vip" else 1})
        salon.http._transport.app.state.importer = importer_of(salon.db, small)
        done = await load(salon, MORE, list=name)
        assert (done["state"], done["imported"], done["listed"], done["list_id"]) == ("done", 2, 0, None)
        assert (done["problem"]["field"], done["problem"]["code"]) == ("list", code)
        assert await lists(salon) == {"VIP": ["Ana", "Bob"]}


async def test_the_name_of_a_list_that_is_none_is_refused_before_anybody_is_changed(salon: Any) -> None:
    for given, code in (({"list": 'a "b"'}, "quotation_mark"), ({"list": "x" * 101}, "too_long"),
                        ({"mode": "replace_list"}, "missing"), ({"mode": "upload"}, "literal_error")):  # fmt: skip
        refused = await load(salon, ROWS, **given)
        assert refused["errors"][0]["code"] == code, refused
    assert await salon.count("customer") == 0
