"""Magic numbers: a sandbox texts them at its own country's price, and nobody else knows them."""

from typing import Any

import pytest
from gathering import SECRETS

from muster.customer.events import MessageKind
from muster.customer.handlers import facts as handlers
from muster.events.v1.recipients_pb2 import AnswerRequested
from muster.events.v1.tenants_pb2 import TenantChanged
from muster.kit.auth import Caller, Role
from muster.kit.ids import as_uuid8, uuid7
from muster.text import number_hash

MAGIC = "+44 7700 900 011"
PLAIN = 447_700_900_011


@pytest.fixture
async def sandbox(salon: Any) -> Any:
    """The salon's people, in a sandbox."""
    tenant_id = as_uuid8(uuid7())
    salon.callers["tester"] = Caller(tenant_id, "tess", Role.ADMIN, "")
    changed = TenantChanged(
        tenant_id=str(tenant_id), version=1, name="Test", country="AU", time_zone="UTC", sender="+61400000000",
        sandbox=True,
    )  # fmt: skip
    await salon.hear(handlers.on_tenant_changed, changed)
    return tenant_id


async def test_a_sandbox_texts_a_magic_number_as_one_of_its_own_country(salon: Any, sandbox: Any) -> None:
    answer = await salon.ask("POST", "/v1/messages", {"to": MAGIC, "text": "Hi"}, by="tester")
    assert answer.status_code == 202, answer.text
    [chunk] = [fact.message for fact in await salon.said("BulkRecipientsAttached")]
    assert (list(chunk.number), chunk.country, chunk.tenant_id) == ([PLAIN], "AU", str(sandbox))
    assert chunk.number_hash[0] == number_hash(SECRETS.hash_key, 1, sandbox, f"+{PLAIN}")


async def test_anybody_else_is_refused_a_magic_number_everywhere(salon: Any, sandbox: Any) -> None:
    for by in ("admin", "other"):
        answer = await salon.ask("POST", "/v1/messages", {"to": MAGIC, "text": "Hi"}, by=by)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    imported = await salon.load(f"Max,Magic,{MAGIC},yes\n")
    assert (imported["imported"], imported["rejected"]) == (0, 1)


async def test_customers_of_a_sandbox_may_have_magic_numbers_and_are_texted_in_bulk(salon: Any, sandbox: Any) -> None:
    body = f"first name,last name,mobile,allow bulk sms\nMax,Magic,{MAGIC},yes\n".encode()
    answer = await salon.ask("POST", "/v1/customers/imports", body, by="tester", Content_Type="text/csv")
    assert answer.json()["imported"] == 1, answer.text
    asked = {"text": "Hi", "audience": {"all": True}}
    quote = await salon.ask("POST", "/v1/quotes", asked, by="tester")
    assert (quote.json()["recipients"], quote.json()["by_country"]) == (1, {"AU": 1})


async def test_an_answer_to_a_magic_number_goes_as_one_of_the_sandboxs_country(salon: Any, sandbox: Any) -> None:
    hashed = number_hash(SECRETS.hash_key, 1, sandbox, f"+{PLAIN}")
    asked = AnswerRequested(
        tenant_id=str(sandbox),
        answer_id="a-1",
        number=f"+{PLAIN}",
        number_hash=hashed,
        text="You get no more.",
        reason=1,
    )
    await salon.hear(handlers.handlers(SECRETS.bulk_id_key)["AnswerRequested"], asked)
    [chunk] = [fact.message for fact in await salon.said("BulkRecipientsAttached")]
    assert (chunk.country, chunk.kind) == ("AU", MessageKind.REPLY)
