"""/v1/approval-rule: from how much on a send of a business needs a second person."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field

from muster.customer.domain.approvals import Rule
from muster.customer.store import approvals
from muster.kit import audit
from muster.kit.acts import Act
from muster.kit.auth import Caller, Permission, Tx, requires, tenant_tx
from muster.kit.forms import Form
from muster.kit.http import Int, Model
from muster.kit.idempotency import Once, idempotent
from muster.kit.outbox import emit
from muster.text.emails import EMAIL, EMAIL_CHARS_MAX

router = APIRouter(prefix="/v1/approval-rule")

Above = Annotated[Int, Field(ge=0, le=10**12)]
Email = Annotated[
    str,
    Field(max_length=EMAIL_CHARS_MAX),
    Form(f"(?:{EMAIL})?", "is not an e-mail address such as reception@salon.example"),
]


class RuleIn(Model):
    """A send above one of these needs a second person; null: not for that. email: to whom requests are written, the
    reception unless said."""

    credits_above: Above | None = None
    recipients_above: Above | None = None
    email: Email = ""


class RuleOut(Model):
    """The rule, since when and by whom; null where nobody has set one."""

    credits_above: int | None = None
    recipients_above: int | None = None
    email: str = ""
    changed_at: datetime | None = None
    changed_by: str | None = None


@router.get("")
async def get_approval_rule(
    caller: Annotated[Caller, requires(Permission.READ_SETTINGS)], tx: Annotated[Tx, tenant_tx]
) -> RuleOut:
    """From how much on the business asks a second person; never unless it says so."""
    return await _rule(tx, caller)


@router.put("", response_model=RuleOut)
async def set_approval_rule(
    body: RuleIn,
    caller: Annotated[Caller, requires(Permission.CHANGE_SETTINGS)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """Set all of it anew. It counts for what is sent from then on, also for quotes and schedules of before."""

    async def make() -> tuple[int, Model]:
        rule = Rule(body.credits_above, body.recipients_above)
        said = f"above {rule.words}" if rule.words else "never"
        if await approvals.set_rule(tx, caller.tenant_id, rule, body.email, caller.user_id):
            await emit(tx, audit.record(caller, Act.APPROVAL_RULE_SET, "approval", said))
        return 200, await _rule(tx, caller)

    return await once.answer(tx, caller, body, make)


async def _rule(tx: Tx, caller: Caller) -> RuleOut:
    row = await approvals.rule_row(tx, caller.tenant_id)
    return RuleOut(**row) if row else RuleOut()
