"""A customer's numbers of every kind, own fields with kinds, and two people who edit one customer."""

from typing import Any

import pytest

ANA: dict[str, Any] = {"first_name": "Ana", "numbers": ["0412 345 678"], "allow_bulk_sms": True}


async def add(salon: Any, **members: Any) -> dict[str, Any]:
    answer = await salon.ask("POST", "/v1/customers", {**ANA, **members})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def test_numbers_of_every_kind_are_kept_as_typed_and_named_as_what_they_are(salon: Any) -> None:
    typed = ["(03) 9876 5432", "٠٤١٢ ٣٤٥ ٦٧٨", "1300 123 456", "+44 20 7946 0018", "1234", "+447400900123"]
    ana = await add(salon, numbers=typed)
    assert [(one["typed"], one["number"], one["country"], one["kind"]) for one in ana["numbers"]] == [
        ("٠٤١٢ ٣٤٥ ٦٧٨", "+61412345678", "AU", "mobile"),
        ("+447400900123", "+447400900123", "GB", "mobile"),
        ("(03) 9876 5432", "+61398765432", "AU", "landline"),
        ("1300 123 456", "+611300123456", "AU", "shared_cost"),
        ("+44 20 7946 0018", "+442079460018", "GB", "landline"),
        ("1234", "1234", "AU", "short"),
    ]
    assert [one["textable"] for one in ana["numbers"]] == [True, True, False, False, False, False]
    assert [one["number"] for one in ana["mobiles"]] == ["+61412345678", "+447400900123"]
    assert (await salon.ask("GET", f"/v1/customers/{ana['id']}")).json() == ana


async def test_what_cannot_be_texted_is_never_in_an_audience(salon: Any) -> None:
    await add(salon, numbers=["(03) 9876 5432", "1234"])
    await add(salon, numbers=["(03) 9876 5433", "0412 345 678"])
    quote = await salon.quote("Hi")
    assert (quote["recipients"], quote["left_out"]["not_textable"]) == (1, 1)
    await salon.send(quote["id"])
    await salon.plan()
    [fact] = await salon.said("BulkRecipientsAttached")
    assert list(fact.message.number) == [61412345678]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("1900 123 456", "premium"),
        ("000", "emergency"),
        ("112", "emergency"),
        ("0412 345 6789 0123 4567", "too_long"),
        ("0412 FLOWERS", "not_a_number"),
        ("0412 345 67", "invalid"),
        ("6.14E+10", "ambiguous"),
        ("", "empty"),
    ],
)
async def test_a_number_of_nobody_is_refused_by_its_place_and_nothing_is_stored(
    salon: Any, number: str, code: str
) -> None:
    answer = await salon.ask("POST", "/v1/customers", {**ANA, "numbers": ["0412 345 678", number]})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "numbers[1]")
    assert answer.json()["errors"][0]["code"] == code
    assert await salon.count("customer") == 0


async def test_numbers_replace_all_and_mobiles_leave_the_others(salon: Any) -> None:
    ana = await add(salon, numbers=["0412 345 678", "(03) 9876 5432"])
    path = f"/v1/customers/{ana['id']}"
    changed = (await salon.ask("PATCH", path, {"mobiles": ["0413 345 678"]})).json()
    assert [one["number"] for one in changed["numbers"]] == ["+61413345678", "+61398765432"]
    changed = (await salon.ask("PATCH", path, {"numbers": ["0414 345 678"]})).json()
    assert [one["number"] for one in changed["numbers"]] == ["+61414345678"]
    both = await salon.ask("PATCH", path, {"numbers": [], "mobiles": []})
    assert both.json()["errors"][0]["code"] == "numbers_or_mobiles"
    eleven = await salon.ask("PATCH", path, {"numbers": [f"04123456{i:02d}" for i in range(11)]})
    assert eleven.json()["errors"][0]["code"] == "too_many"


async def test_the_second_of_two_who_edit_one_customer_is_told_what_the_first_has_changed(salon: Any) -> None:
    ana = await add(salon)
    path = f"/v1/customers/{ana['id']}"
    seen = (await salon.ask("GET", path)).headers["ETag"]
    first = await salon.ask("PATCH", path, {"last_name": "Jones", "tags": ["vip"]}, by="manager", If_Match=seen)
    assert (first.status_code, first.headers["ETag"]) == (200, '"2"')
    second = await salon.ask("PATCH", path, {"last_name": "Smith"}, If_Match=seen)
    assert (second.status_code, second.json()["code"], second.json()["version"]) == (412, "changed_meanwhile", 2)
    [change] = second.json()["changes"]
    assert (change["version"], change["fields"], change["changed_by"]) == (2, ["last_name", "tags"], "mia")
    assert (await salon.ask("GET", path)).json()["last_name"] == "Jones"
    assert (await salon.ask("PATCH", path, {"last_name": "Smith"}, If_Match='"2"')).status_code == 200
    rubbish = await salon.ask("PATCH", path, {"last_name": "x"}, If_Match="yesterday")
    assert rubbish.json()["errors"][0]["field"] == "If-Match"


async def test_a_change_by_a_file_is_a_new_version_too(salon: Any) -> None:
    header = "first name,mobile,allow bulk sms,pet"
    await salon.load("Ana,0412345678,yes,Rex\n", header)
    [ana] = (await salon.ask("GET", "/v1/customers")).json()["items"]
    await salon.load("Ana,0412345678,yes,Tom\n", header)
    told = await salon.ask("PATCH", f"/v1/customers/{ana['id']}", {"last_name": "x"}, If_Match='"1"')
    assert (told.status_code, told.json()["version"], told.json()["changes"]) == (412, 2, [])


async def test_who_changed_what_is_remembered_without_values(salon: Any) -> None:
    ana = await add(salon)
    path = f"/v1/customers/{ana['id']}"
    await salon.ask("PATCH", path, {"consent": "withdrawn"}, by="manager")
    await salon.ask("PATCH", path, {"numbers": ["+61412345678", "(03) 9876 5432"]})
    page = (await salon.ask("GET", f"{path}/changes?limit=1")).json()
    rest = (await salon.ask("GET", f"{path}/changes?cursor={page['next_cursor']}")).json()
    assert [(one["version"], one["changed_by"]) for one in (*page["items"], *rest["items"])] == [(2, "mia"), (3, "ada")]
    assert page["items"][0]["fields"] == ["allow_bulk_sms", "consent", "consent_evidence"]
    assert rest["items"][0]["fields"] == ["numbers"]
    assert (await salon.ask("GET", f"{path}/changes", by="other")).status_code == 404
    acts = [fact.message.act for fact in await salon.said("ActRecorded")]
    assert acts == ["customer.added", "customer.changed", "customer.changed"]


async def test_an_own_field_takes_values_of_its_kind_alone(salon: Any) -> None:
    for key, kind in (("last_visit", "date"), ("visits", "number"), ("pet", "text")):
        made = await salon.ask("PUT", f"/v1/own-fields/{key}", {"name": key, "kind": kind})
        assert (made.status_code, made.json()["kind"]) == (200, kind)
    given = {"Last visit": "2026-05-01", "visits": "+012.50", "pet": "Rex", "shoe": "42"}
    ana = await add(salon, own_fields=given)
    assert ana["own_fields"] == {"last_visit": "2026-05-01", "visits": "12.5", "pet": "Rex", "shoe": "42"}
    path = f"/v1/customers/{ana['id']}"
    for field, value, code in (
        ("last_visit", "1 May 2026", "not_a_date"),
        ("last_visit", "2026-02-30", "not_a_date"),
        ("last_visit", "٢٠٢٦-٠٥-٠١", "not_a_date"),
        ("visits", "many", "not_a_number"),
        ("visits", "1e9", "not_a_number"),
        ("visits", "9" * 16, "not_a_number"),
    ):
        answer = await salon.ask("PATCH", path, {"own_fields": {field: value}})
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, code)
        assert answer.json()["errors"][0]["field"] == f"own_fields.{field}"


async def test_a_field_that_came_with_its_values_is_called_what_it_was_called_there(salon: Any) -> None:
    await add(salon, own_fields={"Pet's name": "Rex"})
    await salon.load("Bob,0412000002,yes,38,Tom\n", "first name,mobile,allow bulk sms,Schuh größe,PETS-NAME")
    fields = (await salon.ask("GET", "/v1/own-fields")).json()["items"]
    assert {one["key"]: one["name"] for one in fields} == {"pets_name": "Pet's name", "schuh_gre": "Schuh größe"}


async def test_a_field_becomes_no_date_while_customers_have_other_values_of_it(salon: Any) -> None:
    ana = await add(salon, own_fields={"last visit": "in May"})
    refused = await salon.ask("PUT", "/v1/own-fields/last_visit", {"name": "Last visit", "kind": "date"})
    assert (refused.status_code, refused.json()["customer_ids"]) == (409, [ana["id"]])
    assert (await salon.ask("PUT", "/v1/own-fields/last_visit", {"name": "x", "kind": "text"})).status_code == 200
    await salon.ask("PATCH", f"/v1/customers/{ana['id']}", {"own_fields": {"last visit": "2026-05-01"}})
    assert (await salon.ask("PUT", "/v1/own-fields/last_visit", {"name": "x", "kind": "date"})).status_code == 200
    [field] = (await salon.ask("GET", "/v1/own-fields", by="staff")).json()["items"]
    assert (field["key"], field["kind"], field["created_by"]) == ("last_visit", "date", "ada")
    assert (await salon.ask("GET", "/v1/own-fields", by="other")).json()["items"] == []
    assert (await salon.ask("DELETE", "/v1/own-fields/last_visit", by="other")).status_code == 404
    assert (await salon.ask("DELETE", "/v1/own-fields/last_visit")).status_code == 204
    assert (await salon.ask("GET", f"/v1/customers/{ana['id']}")).json()["own_fields"] == {"last_visit": "2026-05-01"}


@pytest.mark.parametrize(
    ("key", "body", "field"),
    [
        ("Last-Visit", {"name": "x", "kind": "date"}, "key"),
        ("first_name", {"name": "x", "kind": "text"}, "key"),
        ("x", {"name": " ", "kind": "text"}, "name"),
        ("x", {"name": "x", "kind": "money"}, "kind"),
    ],
)
async def test_a_definition_that_cannot_be_names_what_is_wrong(
    salon: Any, key: str, body: dict[str, str], field: str
) -> None:
    answer = await salon.ask("PUT", f"/v1/own-fields/{key}", body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert (await salon.ask("PUT", "/v1/own-fields/x", {"name": "x", "kind": "text"}, by="staff")).status_code == 403


async def test_a_business_defines_a_hundred_fields_at_most(salon: Any) -> None:
    async with salon.db.request(salon.tenant_id) as tx:
        await tx.execute(
            "INSERT INTO own_field (tenant_id, key, name, kind, created_by)"
            " SELECT $1, 'f' || n, 'f', 'text', 'ada' FROM generate_series(1, 100) n",
            salon.tenant_id,
        )
    answer = await salon.ask("PUT", "/v1/own-fields/one_more", {"name": "x", "kind": "text"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "too_many")
    assert (await salon.ask("PUT", "/v1/own-fields/f7", {"name": "x", "kind": "number"})).status_code == 200


async def test_the_words_of_names_follow_every_change_of_them(salon: Any) -> None:
    async def words() -> list[str]:
        async with salon.db.worker() as tx:
            return [row["word"] for row in await tx.fetch("SELECT word FROM customer_word ORDER BY word")]

    ana = await add(salon, first_name="Ana-María", last_name="van der O'Brien")
    assert await words() == ["der", "maria", "obrien"]
    path = f"/v1/customers/{ana['id']}"
    await salon.ask("PATCH", path, {"first_name": "Ana"})
    assert await words() == ["der", "obrien"]
    await salon.ask("PATCH", path, {"last_name": "Müller Öz"})
    assert await words() == ["oz"]
    await salon.ask("DELETE", path)
    assert await words() == []
