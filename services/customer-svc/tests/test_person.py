"""A person's right to have all that is held on them, as a file."""

import csv
import io
from typing import Any

from test_consents import OWN, add, say
from test_withdrawals import record


async def test_the_file_has_all_that_is_held_here_and_nobody_else_s(salon: Any) -> None:
    ana = await add(salon, allow_bulk_sms=True, tags=["vip"], own_fields={"pet": "=cmd"})
    bob = await add(salon, "0412 000 002", allow_bulk_sms=True, first_name="Bob")
    await salon.ask("PATCH", f"/v1/customers/{ana}", {"last_name": "S"})
    bulk_id = await salon.send((await salon.quote("Hi {{first_name}}"))["id"])
    await salon.plan()
    one = await record(salon, scope="marketing")
    await salon.ask("POST", f"/v1/suppressions/requests/{one['id']}/apply", {"customer_id": ana})
    path = f"/v1/customers/{ana}/export"
    await salon.ask("POST", "/v1/lists", {"name": "Spring", "customer_ids": [ana]})
    answer = await salon.ask("GET", path)
    assert answer.headers["Content-Disposition"] == f'attachment; filename="customer-{ana}.json"'
    held = answer.json()
    assert (held["customer"]["first_name"], held["customer"]["own_fields"]) == ("Ana", {"pet": "=cmd"})
    assert [change["fields"] for change in held["changes"]] == [
        ["last_name"],
        ["allow_bulk_sms", "consent", "consent_evidence"],
    ]
    assert [(one["name"], one["kind"]) for one in held["lists"]] == [("Spring", "kept")]
    assert [word["kind"] for word in held["consents"]] == ["inferred", "withdrawn"]
    assert held["consents_whole"]
    [stop] = held["suppressions"]
    assert (stop["number"], stop["suppressed"]) == ("+61412000001", True)
    assert [request["id"] for request in held["withdrawal_requests"]] == [one["id"]]
    [sent] = held["sends"]
    assert (sent["bulk_id"], sent["values"], sent["number"], sent["outcome"]) == (
        bulk_id,
        ["Ana"],
        "+61412000001",
        "texted",
    )
    assert "Bob" not in answer.text
    assert "+61412000002" not in answer.text
    other = (await salon.ask("GET", f"/v1/customers/{bob}/export")).json()
    assert (other["suppressions"], other["withdrawal_requests"], len(other["sends"])) == ([], [], 1)
    table = list(csv.DictReader(io.StringIO((await salon.ask("GET", path, Accept="text/csv")).text)))
    cells = {(row["section"], row["entry"], row["field"]): row["value"] for row in table}
    assert cells["customer", "1", "own_fields.pet"] == "'=cmd"
    assert cells["customer", "1", "numbers.1.number"] == "+61412000001"
    assert cells["consents", "2", "kind"] == "withdrawn"
    assert cells["sends", "1", "values.1"] == "Ana"
    acts = [fact.message.act for fact in await salon.said("ActRecorded")]
    assert acts.count("customer.exported") == 3


async def test_who_is_left_out_of_a_send_reads_why(salon: Any) -> None:
    ana = await add(salon, allow_bulk_sms=False)
    await add(salon, "0412 000 002", allow_bulk_sms=True, first_name="Bob")
    await salon.send((await salon.quote("Hi"))["id"])
    await salon.plan()
    [sent] = (await salon.ask("GET", f"/v1/customers/{ana}/export")).json()["sends"]
    assert (sent["outcome"], sent["number"], sent["values"]) == ("no_consent", None, [])


async def test_only_who_may_send_gets_it_of_their_own_customers_also_of_one_who_was_removed(salon: Any) -> None:
    ana = await add(salon, allow_bulk_sms=True)
    await say(salon, ana, **OWN)
    path = f"/v1/customers/{ana}/export"
    assert (await salon.ask("GET", path, by="staff")).status_code == 403
    assert (await salon.ask("GET", path, by="other")).status_code == 404
    assert (await salon.ask("GET", "/v1/customers/999/export")).status_code == 404
    await salon.ask("DELETE", f"/v1/customers/{ana}")
    held = (await salon.ask("GET", path)).json()
    assert (held["customer"], len(held["consents"])) == (None, 2)


async def test_what_was_changed_under_the_id_of_somebody_who_was_merged_into_a_person_is_in_their_file(
    salon: Any,
) -> None:
    ana = await add(salon, allow_bulk_sms=True, own_fields={"pet": "Rex"})
    anna = await add(salon, "0412 000 002", allow_bulk_sms=True, first_name="Anna", own_fields={"pet": "Tom"})
    await salon.ask("PATCH", f"/v1/customers/{anna}", {"last_name": "Lee"})
    await salon.ask("POST", f"/v1/customers/{ana}/merge", {"customer_id": anna})
    held = (await salon.ask("GET", f"/v1/customers/{ana}/export")).json()
    assert held["changes"][-1]["fields"][-1] == f"merged:{anna}"
    [merged] = held["merged"]
    assert (merged["customer_id"], merged["customer"]["own_fields"]) == (anna, {"pet": "Tom"})
    assert [change["fields"] for change in merged["changes"]] == [
        ["last_name"],
        ["numbers", "archived_at", "merged_into"],
    ]
