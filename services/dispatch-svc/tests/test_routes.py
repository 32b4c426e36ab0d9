"""Routes over HTTP: what an operator can say of one, what is refused, and how chunks go by it."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import dispatch_world as world
import pytest
from carriers_world import Operator, operator, route_to, settings

from muster.dispatch.handlers.routes import say_platform
from muster.kit.pg import Database
from muster.kit.testing import facts

TEST = {"to": "+61411000001", "sender": "Salon"}


@pytest.fixture
async def carriers(db: Database) -> AsyncIterator[Operator]:
    """An operator with the default route to `smpp`, and the accounts west and east."""
    async with operator(db, settings(routes_max=5)) as found:
        for port, name in enumerate(("smpp", "west", "east"), 2775):
            await found.create(name, port)
        await route_to(db, "smpp")
        yield found


@pytest.fixture
def op(carriers: Operator) -> Operator:
    return carriers.at("/v1/routes")


def leading(*accounts: str, **members: Any) -> dict[str, Any]:
    """The body of a route to these accounts, each NAME=WEIGHT."""
    pairs = [account.partition("=") for account in accounts]
    return {"accounts": [{"account": name, "weight": int(weight or 1)} for name, _, weight in pairs], **members}


async def make(op: Operator, name: str, *accounts: str, **members: Any) -> dict[str, Any]:
    answer = await op("POST", "", {"route": name, **leading(*accounts, **members)})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def said(db: Database, name: str) -> list[Any]:
    return [fact for fact in await world.said(db, "RouteChanged") if fact.route == name]


async def accounts_of(db: Database, send: world.Send) -> Counter[tuple[str, str]]:
    """(route, account) of the chunks of a send; those of its attempts are the same."""
    async with db.worker() as tx:
        rows = await tx.fetch(
            "SELECT c.route, c.account, a.account AS queued"
            " FROM chunk c JOIN attempt a USING (tenant_id, bulk_id, chunk) WHERE c.tenant_id = $1 AND c.bulk_id = $2",
            *(send.tenant_id, send.bulk_id),
        )
    assert all(row["account"] == row["queued"] for row in rows)
    return Counter((row["route"], row["account"]) for row in rows)


async def test_a_route_is_made_read_listed_changed_and_deleted_and_all_of_it_is_said(
    db: Database, op: Operator
) -> None:
    made = await make(op, "west", "west=3", "east=1", countries=["NZ", "AU"], senders=["+61400000001"])
    changed = await op("PATCH", "/west", {"accounts": [{"account": "east"}], "failover": "default", "senders": None})
    page = (await op("GET", "?limit=1")).json()
    rest = (await op("GET", f"?cursor={page['next_cursor']}")).json()
    gone = await op("DELETE", "/west")

    assert (made["version"], made["countries"], made["senders"]) == (1, ["AU", "NZ"], ["61400000001"])
    assert (changed.json()["failover"], changed.json()["accounts"]) == (
        "default",
        [{"account": "east", "weight": 1}],
    )
    assert ([one["route"] for one in page["items"]], rest["items"]) == (["default"], [changed.json()])
    assert (gone.status_code, (await op("GET", "/west")).status_code) == (200, 404)
    words = await said(db, "west")
    assert [(one.version, one.open, list(one.senders), one.carrier) for one in words] == [
        (1, True, ["61400000001"], "west"),
        (2, True, ["61400000001"], "east"),
        (3, False, ["61400000001"], "east"),
    ]
    again = await make(op, "west", "west", countries=["NZ"])
    assert again["version"] > 3, "what was heard of the old one must not hide it"
    async with db.worker() as tx:
        acts = [one.message for one in await facts(tx, "ActRecorded")]
    assert [one.act for one in acts if one.subject_kind == "route"] == [
        "route.created",
        "route.changed",
        "route.deleted",
        "route.created",
    ]


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        (leading("west=0", "east=0"), "accounts", "weight_zero"),
        (leading("west", failover="bad"), "failover", "cycle"),
        (leading("nobody"), "accounts.0.account", "not_found"),
        (leading("sandbox"), "accounts.0.account", "not_found"),
        (leading("west", countries=["ZZ"]), "countries.0", None),
        (leading("west", countries=["AU"]), "countries", "overlaps"),
        (leading("west=-1"), "accounts.0.weight", None),
        (leading("west=1001"), "accounts.0.weight", None),
        (leading(), "accounts", None),
        (leading("west", senders=["a sender too long"]), "senders.0", None),
        (leading("west", route="Not a name"), "route", None),
        (leading("west", weight=1), "weight", None),
    ],
)
async def test_bad_input_names_its_field_and_changes_nothing(
    db: Database, op: Operator, body: dict[str, Any], field: str, code: str | None
) -> None:
    await make(op, "au", "west", countries=["AU"])
    before = (await op("GET", "")).json()
    answer = await op("POST", "", {"route": "bad", **body})

    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert code is None or answer.json()["errors"][0]["code"] == code
    assert (await op("GET", "")).json() == before
    assert await said(db, "bad") == []


async def test_a_change_of_a_route_to_what_is_already_so_changes_nothing(db: Database, op: Operator) -> None:
    made = await make(op, "west", "west=3", countries=["NZ", "AU"])
    same = [{}, {"open": True, "failover": None}, {"countries": ["AU", "NZ"], **leading("west=3")}]
    answers = [await op("PATCH", "/west", body) for body in same]

    assert [(one.status_code, one.json()) for one in answers] == [(200, made)] * 3
    assert len(await said(db, "west")) == 1


async def test_a_circle_of_routes_is_refused_by_whichever_change_would_close_it(op: Operator) -> None:
    await make(op, "a", "west", failover="default")
    await make(op, "b", "east", failover="a")
    answer = await op("PATCH", "/default", {"failover": "b"})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"field": "failover", "code": "cycle", "message": "leads in a circle: default → b → a → default"}
    ]


async def test_the_default_route_stays_and_is_the_operators_once_he_has_changed_it(db: Database, op: Operator) -> None:
    gone = await op("DELETE", "/default")
    assert (gone.status_code, gone.json()["code"]) == (409, "default_route")
    await op("PATCH", "/default", leading("smpp=1", "west=1"))
    async with db.worker() as tx:
        await say_platform(tx, "east", 8, 0)
    read = (await op("GET", "/default")).json()
    assert [one["account"] for one in read["accounts"]] == ["smpp", "west"]


async def test_a_route_that_others_fail_over_to_and_an_account_that_a_route_leads_to_stay(
    op: Operator, carriers: Operator
) -> None:
    await make(op, "spare", "east=0", "west=1")
    await op("PATCH", "/default", {"failover": "spare"})
    gone = await op("DELETE", "/spare")
    closed = await carriers("POST", "/east/close")
    assert (gone.status_code, gone.json()["routes"]) == (409, ["default"])
    assert (closed.status_code, closed.json()["code"], closed.json()["routes"]) == (409, "routes_lead_here", ["spare"])
    assert (await carriers("GET", "/east")).json()["routes"] == ["spare"]
    await op("PATCH", "/default", {"failover": ""})
    assert (await op("DELETE", "/spare")).status_code == 200
    assert (await carriers("POST", "/east/close")).status_code == 200
    shut = await op("POST", "", {"route": "new", **leading("east")})
    assert shut.json()["errors"][0]["code"] == "carrier_closed"


async def test_only_the_operator_has_routes_once_for_each_key_and_no_more_than_are_allowed(op: Operator) -> None:
    assert (await op("GET", "", caller="admin")).status_code == 403
    body = {"route": "west", **leading("west", countries=["NZ"])}
    first, second = await op("POST", "", body, key="k"), await op("POST", "", body, key="k")
    assert (first.status_code, first.json()) == (second.status_code, second.json()) == (201, first.json())
    assert (await op("POST", "", body)).json()["code"] == "already_there"
    for name in ("b", "c", "d"):
        await make(op, name, "west")
    full = await op("POST", "", {"route": "e", **leading("west")})
    assert (full.status_code, full.json()["code"]) == (409, "too_many")


async def test_messages_are_priced_for_the_widest_reference_of_the_accounts_that_take_them(
    db: Database, op: Operator, carriers: Operator
) -> None:
    made = await make(op, "nz", "west=1", "east=0", countries=["NZ"])
    assert made["reference_bits"] == 8
    await carriers.change("east", reference_bits=16, parts_per_second=50)
    assert (await op("GET", "/nz")).json()["reference_bits"] == 8, "it only stands by"
    await carriers.change("west", reference_bits=16, parts_per_second=20)
    assert [(one.reference_bits, one.parts_per_second) for one in await said(db, "nz")][-1] == (16, 20)


async def test_chunks_go_by_country_sender_and_weight(db: Database, op: Operator) -> None:
    await make(op, "nz", "east", countries=["NZ"])
    await make(op, "salon", "west=1", "east=1", senders=["Salon"])
    plain = world.Send(recipients=2, chunk_size=1)
    named = world.Send(recipients=40, chunk_size=1, sender="Salon")
    abroad = [plain.chunk(at) for at in (1, 2)]
    abroad[1].country = "NZ"
    await world.hear(db, *abroad, *(named.chunk(at + 1) for at in range(40)))

    assert await accounts_of(db, plain) == {("default", "smpp"): 1, ("nz", "east"): 1}
    found = await accounts_of(db, named)
    assert found.keys() == {("salon", "west"), ("salon", "east")}
    assert 3 < found["salon", "west"] < 37, "by chance, but for one run in 10^7"
    await world.hear(db, *(named.chunk(at + 1) for at in range(40)))
    assert await accounts_of(db, named) == found


async def test_a_long_message_avoids_the_account_that_could_need_a_part_more_and_a_draining_one_gets_nothing(
    db: Database, op: Operator, carriers: Operator
) -> None:
    await carriers.change("west", reference_bits=16)
    await op("PATCH", "/default", leading("west=9", "east=1"))
    long = world.Send(recipients=12, chunk_size=1, text="x" * 200)
    short = world.Send(recipients=12, chunk_size=1)
    await world.hear(db, *(long.chunk(at + 1) for at in range(12)), *(short.chunk(at + 1) for at in range(12)))
    assert await accounts_of(db, long) == {("default", "east"): 12}
    assert ("default", "west") in await accounts_of(db, short)

    await carriers("POST", "/west/drain")
    later = world.Send(recipients=12, chunk_size=1)
    await world.hear(db, *(later.chunk(at + 1) for at in range(12)))
    assert await accounts_of(db, later) == {("default", "east"): 12}


async def test_a_test_says_which_accounts_a_message_would_go_by_and_why_not_by_the_others(
    op: Operator, carriers: Operator
) -> None:
    await carriers.change("west", reference_bits=16)
    await make(op, "au", "west=3", "smpp=1", "east=0", countries=["AU"], failover="default")
    await carriers("POST", "/smpp/drain")
    short = (await op("POST", "/test", TEST)).json()
    long = (await op("POST", "/test", {**TEST, "parts": 2, "reference_bits": 8})).json()

    assert (short["country"], short["route"], short["why"]) == ("AU", "au", "it names the country")
    assert [(one["route"], one["account"], one["percent"]) for one in short["options"]] == [
        ("au", "west", 100), ("au", "smpp", 0), ("au", "east", 0), ("default", "smpp", 0)
    ]  # fmt: skip
    assert [one["why"] for one in short["options"]] == ["", "is draining", "stands by", "is draining"]
    assert [one["percent"] for one in long["options"]] == [0, 0, 100, 0]
    assert long["options"][0]["why"] == "could need more parts than are paid for"
    assert long["options"][2]["why"] == "stands in for the others"
    for field, value in (("to", "0411000001"), ("sender", ""), ("parts", 0), ("parts", 256)):
        refused = await op("POST", "/test", {**TEST, field: value})
        assert [error["field"] for error in refused.json()["errors"]] == [field]
