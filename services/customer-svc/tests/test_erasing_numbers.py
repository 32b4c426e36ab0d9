"""Erasing whoever has a number that no customer has; texts to others, and files, that name somebody who is erased."""

from typing import Any

import pytest
from gathering import plain
from importing import importer_of
from test_consents import OWN, add, say
from test_erasure import NAME, NUMBER, confirm, erase, forget, found, person
from test_importer import stands, upload


async def test_a_number_that_only_wrote_is_erased_by_itself(salon: Any) -> None:
    await add(salon, "0412 000 002", allow_bulk_sms=True, first_name="Bo")
    gone = await person(salon)
    await say(salon, gone, **{**OWN, "wording": "private words", "number": NUMBER})
    stop = {"number": NUMBER, "scope": "all", "reason": "private words", "wording": "private words"}
    assert (await salon.ask("POST", "/v1/suppressions", stop)).status_code == 201
    taken = await salon.ask("POST", "/v1/erasures", {"number": "0412 000 001"})
    told = taken.json()
    assert (taken.status_code, told["code"], told["customer_ids"]) == (409, "number_of_customers", [gone])
    assert (await salon.ask("DELETE", f"/v1/customers/{gone}")).status_code == 204
    assert await found(salon, "private words")

    answer = await salon.ask("POST", "/v1/erasures", {"number": "0412 000 001", "ground": "objected"})
    assert answer.status_code == 202, answer.text
    told = answer.json()
    assert (told["customer_ids"], told["numbers"], told["ground"]) == ([], 1, "objected")
    await forget(salon)
    await confirm(salon, "dispatch", "reply", "report")
    assert (await salon.ask("GET", f"/v1/erasures/{told['id']}")).json()["state"] == "done"
    assert await found(salon, "private words", "412000001", "412 000 001") == []
    assert len((await salon.ask("GET", "/v1/suppressions")).json()["items"]) == 1, "the suppression stays, by its hash"


@pytest.mark.parametrize(
    ("number", "code"), [("hello", "not_a_number"), ("000", "emergency"), ("0412", "invalid"), ("1234", "short_number")]
)
async def test_a_number_that_is_nobody_s_is_not_erased(salon: Any, number: str, code: str) -> None:
    answer = await salon.ask("POST", "/v1/erasures", {"number": number})
    [error] = answer.json()["errors"]
    assert (answer.status_code, error["field"], error["code"]) == (422, "number", code)


async def test_a_text_to_others_that_names_somebody_who_is_erased_says_so_afterwards(salon: Any) -> None:
    ana = await person(salon, allow_bulk_sms=False)
    for digit in (2, 3):
        await add(salon, f"0412 000 00{digit}", allow_bulk_sms=True, first_name="Bo")
    about = f"Say goodbye to {NAME} Brandt on Friday!"
    sent = await salon.send((await salon.quote(about))["id"])
    await salon.plan()
    open_quote = await salon.quote(about)
    other = await salon.send((await salon.quote("Hi all"))["id"])
    await salon.plan()
    for text in (f"{NAME} Brandt is here", "Call 0412 000 001", "You are next"):
        message = await salon.ask("POST", "/v1/messages", {"to": "0412 000 002", "text": text})
        assert message.status_code == 202, message.text

    await erase(salon, ana)
    await forget(salon)

    assert [plain((await salon.bulk(one))["text"]) for one in (sent, other)] == ["(erased)", "Hi all"]
    singles = (await salon.ask("GET", "/v1/bulk-sms?kind=single")).json()["items"]
    assert [one["text"] for one in singles] == ["You are next", "(erased)", "(erased)"]
    assert await found(salon, NAME) == ["outbox.value"], "what is published says what was sent, for three days"
    late = await salon.ask("POST", "/v1/bulk-sms", {"quote_id": open_quote["id"]}, Idempotency_Key="late")
    assert (late.status_code, late.json()["code"]) == (409, "quote_expired")


async def test_a_file_whose_import_failed_is_given_up_if_it_holds_the_person_and_waited_for_by_nobody(
    salon: Any, settings: Any
) -> None:
    ana = await person(salon)
    files = [await upload(salon, f"Mobile\n{number}\n".encode(), settings) for number in ("0412000001", "0412000009")]
    while await importer_of(salon.db, settings).read_turn():
        pass
    async with salon.db.request(salon.tenant_id) as tx:
        await tx.execute("UPDATE customer_import SET state = 'failed' WHERE tenant_id = $1", salon.tenant_id)

    await erase(salon, ana)
    await forget(salon)

    assert [(await stands(salon, one))["state"] for one in files] == ["cancelled", "failed"]
    assert await salon.count("customer_import_block") == 1
