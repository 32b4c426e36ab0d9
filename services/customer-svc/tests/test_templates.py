"""/v1/templates as its user sees it, and the sends that are made of one: quote and plan agree, in each language."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import asyncpg
from gathering import plain

from muster import customer
from muster.customer.domain.merge_text import MergeText, Style

PEOPLE = """Ana,Smith,0412000001,yes,en,Rex
Bea,Meier,0412000002,yes,de-AT,
Çem,Öz,0412000003,yes,DE,Waldi
Dee,Doe,0412000004,yes,,<b></b>
Eve,Ng,0412000005,yes,xx,😀
"""
HEADER = "first name,last name,mobile,allow bulk sms,language,pet"


async def add(salon: Any, **members: Any) -> dict[str, Any]:
    answer = await salon.ask("POST", "/v1/templates", {"name": "offer", "text": "Hi {first_name|there}", **members})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def texts_planned(salon: Any) -> dict[str, str]:
    """The text that each number gets, without what marketing says by rule."""
    found = {}
    for fact in await salon.said("BulkRecipientsAttached"):
        chunk = fact.message
        at = chunk.text_index or [0] * len(chunk.seq)
        found |= {str(number): plain(chunk.text[index]) for number, index in zip(chunk.number, at, strict=True)}
    return found


async def test_a_template_is_changed_by_new_versions_and_each_is_kept(salon: Any) -> None:
    made = await add(salon, category="news", variants={"de_at": "Hallo {first_name}"})
    assert (made["version"], made["category"], made["language"], made["fields"]) == (1, "news", "en", ["first_name"])
    assert (made["variants"], made["archived"]) == ({"de-AT": "Hallo {first_name}"}, False)
    path = f"/v1/templates/{made['id']}"
    newer = await salon.ask("PUT", path, {"name": "offer 2", "text": "Dear {first_name}"}, by="staff")
    assert newer.json()["version"] == 2
    versions = (await salon.ask("GET", f"{path}/versions?limit=1")).json()
    assert [one["version"] for one in versions["items"]] == [2]
    rest = (await salon.ask("GET", f"{path}/versions?cursor={versions['next_cursor']}")).json()["items"]
    first = (await salon.ask("GET", f"{path}/versions/1")).json()
    assert rest == [first]
    assert (first["text"], first["created_by"], newer.json()["created_by"]) == (made["text"], "ada", "sam")
    said = [fact.message for fact in await salon.said("ActRecorded")]
    assert [(one.act, one.reason) for one in said] == [("template.saved", "version 1"), ("template.saved", "version 2")]
    for where in (path, f"{path}/versions", f"{path}/versions/1", f"{path}/preview?customer_id=1"):
        assert (await salon.ask("GET", where, by="other")).status_code == 404
    assert (await salon.ask("GET", f"{path}/versions/3")).status_code == 404


async def test_templates_are_found_by_category_and_out_of_use_when_archived(salon: Any) -> None:
    await salon.load(PEOPLE, HEADER)
    news, other = await add(salon, category=" news "), await add(salon, name="other")
    assert (await salon.ask("GET", "/v1/templates/categories")).json()["items"] == [
        {"category": "", "templates": 1},
        {"category": "news", "templates": 1},
    ]
    assert [one["id"] for one in (await salon.ask("GET", "/v1/templates?category=news")).json()["items"]] == [
        news["id"]
    ]
    path = f"/v1/templates/{news['id']}"
    assert [(await salon.ask("DELETE", path)).status_code for _ in range(2)] == [204, 204]
    listed = (await salon.ask("GET", "/v1/templates")).json()["items"]
    assert [one["id"] for one in listed] == [other["id"]]
    [archived] = (await salon.ask("GET", "/v1/templates?archived=true")).json()["items"]
    assert (archived["id"], archived["version"], archived["archived"]) == (news["id"], 2, True)
    refused = await salon.ask("POST", "/v1/quotes", {"template_id": news["id"], "audience": {"all": True}})
    assert (refused.status_code, refused.json()["code"]) == (409, "template_archived")
    again = (await salon.ask("PUT", path, {"name": "offer", "text": "Hi"})).json()
    assert (again["version"], again["archived"]) == (3, False)
    assert (await salon.ask("POST", "/v1/quotes", {"template_id": news["id"], "audience": {"all": True}})).is_success


async def test_what_pins_a_template_is_counted_by_version(salon: Any) -> None:
    await salon.load(PEOPLE, HEADER)
    made = await add(salon)
    path = f"/v1/templates/{made['id']}"
    body = {"template_id": made["id"], "audience": {"all": True}}
    used = (await salon.ask("POST", "/v1/quotes", body)).json()
    bulk_id = await salon.send(used["id"])
    await salon.ask("PUT", path, {"name": "offer", "text": "Dear {first_name}"})
    await salon.ask("POST", "/v1/quotes", body)
    older = (await salon.ask("POST", "/v1/quotes", {**body, "template_version": 1})).json()
    assert (older["template_id"], older["template_version"]) == (made["id"], 1)
    when = {"repeat": {"frequency": "daily", "times": ["10:00"]}}
    schedule = {"name": "daily", "when": when, "credits_max": 9, **body, "template_version": 1}
    kept = (await salon.ask("POST", "/v1/schedules", schedule)).json()
    assert (kept["template_version"], kept["text"]) == (1, made["text"])

    whole = (await salon.ask("GET", path)).json()
    assert (whole["version"], whole["in_use"]) == (2, {"sends": 1, "schedules": 1, "drafts": 2})
    by_version = {one["version"]: one["in_use"] for one in (await salon.ask("GET", f"{path}/versions")).json()["items"]}
    assert by_version == {
        1: {"sends": 1, "schedules": 1, "drafts": 1},
        2: {"sends": 0, "schedules": 0, "drafts": 1},
    }
    bulk = await salon.bulk(bulk_id)
    pinned = (bulk["template_id"], bulk["template_version"], plain(bulk["text"]))
    assert pinned == (made["id"], 1, made["text"])
    for members, field, code in (
        ({**body, "template_version": 3}, "template_version", "no_such_version"),
        ({"text": "Hi", "audience": {"all": True}, "template_version": 1}, "template_version", "no_template"),
    ):
        refused = (await salon.ask("POST", "/v1/quotes", members)).json()
        assert (refused["errors"][0]["field"], refused["code"]) == (field, code)


async def test_everybody_gets_the_text_of_their_language_at_the_quoted_price(salon: Any) -> None:
    """Also after a newer version, another kind of the field, and an older template that had no other languages."""
    await salon.load(PEOPLE, HEADER)
    other = {"de": "Guten Tag {last_name}, und {pet|🐾}", "fr": "Bonjour {nobody|}"}
    made = await add(salon, text="Hi {first_name}, how is {pet}?", variants=other)
    assert [one["code"] for one in made["warnings"]] == ["unknown_field"]
    quote = (await salon.ask("POST", "/v1/quotes", {"template_id": made["id"], "audience": {"all": True}})).json()
    assert (quote["recipients"], quote["left_out"]["missing_field"]) == (4, 1)
    assert quote["missing"] == [
        {"customer_id": quote["missing"][0]["customer_id"], "name": "Dee Doe", "fields": ["pet"]}
    ]
    assert quote["by_language"] == {"en": 2, "de": 2}
    assert quote["by_encoding"] == {"GSM7": 2, "UCS2": 2}
    bulk_id = await salon.send(quote["id"])
    await salon.ask("PUT", f"/v1/templates/{made['id']}", {"name": "offer", "text": "Nothing"})

    await salon.plan()

    assert await texts_planned(salon) == {
        "61412000001": "Hi Ana, how is Rex?",
        "61412000002": "Guten Tag Meier, und 🐾",
        "61412000003": "Guten Tag Öz, und Waldi",
        "61412000005": "Hi Eve, how is 😀?",
    }
    bulk = await salon.bulk(bulk_id)
    assert (bulk["parts"], bulk["credits"], bulk["left_out"]["missing_field"]) == (quote["parts"], quote["credits"], 1)
    whose = (await salon.ask("GET", "/v1/customers?search=Meier")).json()["items"][0]["id"]
    why = (await salon.ask("GET", f"/v1/bulk-sms/{bulk_id}/customers/{whose}")).json()
    assert plain(why["text"]) == "Guten Tag Meier, und 🐾"
    held = (await salon.ask("GET", f"/v1/customers/{whose}/export")).json()
    sends = [(plain(one["text"]), one["values"]) for one in held["sends"]]
    assert held["sends"][0]["text"].startswith("Salon: "), "what was sent, with what was added to it"
    assert sends == [(other["de"], ["Bea", "", "Meier", ""])]


async def test_days_and_numbers_cost_what_was_quoted_whatever_their_field_becomes(salon: Any) -> None:
    for key, kind in (("due", "date"), ("owed", "number")):
        assert (await salon.ask("PUT", f"/v1/own-fields/{key}", {"name": key, "kind": kind})).is_success
    rows = [
        f"A{at},B,04120000{at:02d},yes,{lang},{date(2010, 11, 11) + timedelta(997 * (at - 10))},{at * 987 - 5_000}.{at}"
        for at, lang in enumerate(("en", "de", "ru", "fr", "") * 8, 10)
    ]
    await salon.load("\n".join(rows), "first name,last name,mobile,allow bulk sms,language,due,owed")
    text = "You owe {owed} by {due:long} " + "x" * 120
    other = {
        "de": "Sie schulden {owed} " + "x" * 137,
        "ru": "Долг {owed} {due} " + "x" * 48,
        "fr": "{due:full}{owed:plain}",
    }
    made = await add(salon, text=text, variants=other)
    quote = (await salon.ask("POST", "/v1/quotes", {"template_id": made["id"], "audience": {"all": True}})).json()
    assert (quote["recipients"], quote["by_language"]) == (40, {"en": 16, "de": 8, "ru": 8, "fr": 8})
    assert len(quote["by_parts"]) > 1
    bulk_id = await salon.send(quote["id"])
    assert (await salon.ask("PUT", "/v1/own-fields/owed", {"name": "owed", "kind": "text"})).is_success

    await salon.plan()

    bulk = await salon.bulk(bulk_id)
    assert (bulk["state"], bulk["parts"], bulk["credits"]) == ("waiting", quote["parts"], quote["credits"])
    planned = await texts_planned(salon)
    assert planned["61412000010"] == "You owe 4,870.1 by 11 November 2010 " + "x" * 120
    assert planned["61412000013"] == "samedi 19 janvier 20197831.13"


async def test_what_a_text_costs_and_whom_it_leaves_out_is_the_same_in_sql_and_in_python(salon: Any) -> None:
    odd = [
        "<b>",
        "<<b>x",
        "< b",
        "a<b>",
        "<!-- -->",
        "<3",
        "</",
        "\u00a0<b>\u00a0",
        "{pet}",
        "x{{y}}",
        "]",
        "’",
        "<\u3000b>",
    ]
    languages = ["de", "DE_ch", "de-AT", "den", "pt-BR", "pt_br-x", "pt", "p", "", "en", "d%", "de\\_", "-"]
    pairs = zip(languages, odd, strict=True)
    rows = [f"Zoë{at},B,04120000{at},yes,{lang},{value}" for at, (lang, value) in enumerate(pairs, 10)]
    await salon.load("\n".join(rows), HEADER)
    other = {"de": "Hallo {pet}", "pt": "Olá {pet|}", "pt-BR": "Oi {pet}{last_name}"}
    made = await add(salon, text="Hi {pet}", variants=other)
    text = MergeText.read("Hi {pet}", Style("en", "AU"), made["variants"])
    assert isinstance(text, MergeText)
    body = {"template_id": made["id"], "audience": {"all": True}}
    quote = (await salon.ask("POST", "/v1/quotes", body)).json()
    await salon.send(quote["id"])
    await salon.plan()
    planned = await texts_planned(salon)
    expected = {}
    for one in (await salon.ask("GET", "/v1/customers")).json()["items"]:
        values = {"pet": one["own_fields"].get("pet", ""), "last_name": one["last_name"]}
        joined = text.join(values, one["language"])
        path = f"/v1/templates/{made['id']}/preview?customer_id={one['id']}&class=factual"
        shown = (await salon.ask("GET", path)).json()
        assert shown["missing"] == text.missing(joined)
        if not shown["missing"]:
            expected[one["mobiles"][0]["number"].removeprefix("+")] = shown["text"]
            assert shown["text"] == text.render(joined)
    assert planned == expected
    assert 0 < quote["recipients"] == len(planned) < len(rows)


async def test_a_text_is_previewed_for_a_customer_before_it_is_kept(salon: Any) -> None:
    await salon.load(PEOPLE, HEADER)
    ids = {one["first_name"]: one["id"] for one in (await salon.ask("GET", "/v1/customers")).json()["items"]}

    async def preview(name: str, message_class: str = "factual") -> dict[str, Any]:
        said = {"variants": {"de": "Na, {first_name}?"}, "customer_id": ids[name], "class": message_class}
        body = {"text": "Hi {pet}"} | said
        answer = await salon.ask("POST", "/v1/templates/preview", body, by="staff")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    assert await preview("Eve") == {
        "customer_id": ids["Eve"], "language": "en", "text": "Hi 😀", "missing": [], "encoding": "UCS2", "parts": 1,
        "credits": 1,
    }  # fmt: skip
    assert (await preview("Bea"))["text"] == "Na, Bea?"
    assert (await preview("Bea", "marketing"))["text"] == "Salon: Na, Bea?\nAbmelden mit STOP"
    left_out = await preview("Dee")
    assert (left_out["text"], left_out["missing"], left_out["credits"]) == (None, ["pet"], None)
    body = {"text": "Hi", "customer_id": max(ids.values()) + 1}
    assert (await salon.ask("POST", "/v1/templates/preview", body)).status_code == 404
    assert await salon.count("template") == 0


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"text": "{a}" * 10_000}, "text", "too_many_fields"),
    ({"text": "Hi {__class__}"}, "text", "merge_syntax"),
    ({"text": "Hi {len(x)}"}, "text", "merge_syntax"),
    ({"text": "Hi {first_name"}, "text", "merge_syntax"),
    ({"text": "{> offer}"}, "text", "merge_syntax"),
    ({"text": "x" * 100_000}, "text", "too_long"),
    ({"variants": {"de": "}"}}, "variants.de", "merge_syntax"),
    ({"variants": {"de": " "}}, "variants.de", "empty"),
    ({"variants": {"Klingon": "x"}}, "variants.Klingon", "no_such_language"),
    ({"variants": {"de": "x", "DE": "y"}}, "variants.DE", "repeated_language"),
    ({"variants": {"en": "x"}}, "variants.en", "repeated_language"),
    ({"language": "und"}, "language", "no_such_language"),
    ({"text": "{first_name:long}"}, "text", "no_such_form"),
    ({"category": "x" * 101}, "category", "string_too_long"),
    ({"text": "Hi \x1b[1m"}, "text", "control_character"),
    ({"variants": {"de": "Hi \u202e"}}, "variants.de", "direction_override"),
]


async def test_bad_input_shows_where_it_is_wrong_and_nothing_is_kept(salon: Any) -> None:
    for members, field, code in BAD:
        answer = await salon.ask("POST", "/v1/templates", {"name": "n", "text": "x", **members})
        problem = answer.json()
        assert answer.status_code == 422, problem
        assert (problem["errors"][0]["field"], problem["errors"][0]["code"]) == (field, code)
        assert code not in ("merge_syntax", "no_such_form", "too_many_fields") or problem["position"] >= 0
    half = await salon.ask(
        "POST", "/v1/templates", b'{"name": "n", "text": "Hi \\ud83d"}', Content_Type="application/json"
    )
    assert (half.status_code, half.json()["errors"][0]["field"]) == (422, "text")
    assert await salon.count("template") == 0


async def test_a_field_that_nobody_has_is_refused_with_those_that_may_be_meant(salon: Any) -> None:
    await salon.load(PEOPLE, HEADER)
    body = {"text": "Dear {frist_name}", "audience": {"all": True}}
    refused = (await salon.ask("POST", "/v1/quotes", body)).json()
    assert (refused["code"], refused["position"], refused["fields"]) == ("unknown_field", 5, ["frist_name"])
    assert refused["expected"][0] == "{first_name}"
    warned = await salon.quote("Dear {frist_name|you}")
    assert warned["warnings"][0]["code"] == "unknown_field"
    assert "Did you mean {first_name}" in warned["warnings"][0]["message"]


async def test_values_keep_their_lines_where_their_field_may(salon: Any) -> None:
    await salon.ask("PUT", "/v1/own-fields/address", {"name": "Address", "kind": "free"})
    own = {"address": " 12 High St\r\nPerth ", "plain": "a\nb"}
    made = await salon.ask(
        "POST",
        "/v1/customers",
        {"first_name": "Ana", "numbers": ["0412000001"], "own_fields": own, "allow_bulk_sms": True},
    )
    assert made.json()["own_fields"] == {"address": "12 High St\nPerth", "plain": "a b"}
    await salon.load(
        'Bea,B,0412000002,yes,"1 <Low> St\nYork","c\nd"', "first name,last name,mobile,allow bulk sms,address,plain"
    )
    quote = await salon.quote("{address}/{plain}")
    await salon.send(quote["id"])
    await salon.plan()
    assert sorted((await texts_planned(salon)).values()) == ["1 <Low> St\nYork/c d", "12 High St\nPerth/a b"]


async def test_what_was_stored_before_says_what_it_said(salon: Any) -> None:
    """By the function of the migration, which is gone behind it."""
    migration = (Path(customer.__file__).parent / "migrations" / "0036_templates.sql").read_text(encoding="utf-8")
    made = migration[migration.index("CREATE FUNCTION") : migration.index("ALTER TABLE template NO FORCE")]
    connection = await asyncpg.connect(salon.admin_dsn)
    try:
        await connection.execute(made)
        for before, after in (
            ("Hi {{first_name|there}}, {{ x }}{{y|}}", "Hi {{first_name|there}}, {{ x }}{{y|}}"),
            ("{single} } { braces", r"\{single\} \} \{ braces"),
            ("{{a}} {b} {{c|d}}", r"{{a}} \{b\} {{c|d}}"),
            (r"C:\dir {{a}}", r"C:\dir {{a}}"),
        ):
            assert await connection.fetchval("SELECT braces_kept($1)", before) == after
    finally:
        await connection.close()
