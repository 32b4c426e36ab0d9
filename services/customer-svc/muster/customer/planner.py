"""The planner: freezes the membership of a send, adds it up, and publishes its chunks.

A turn is one step of one send in one transaction, which holds the lock of the plan's row: a crash undoes the turn and
another planner takes it again. Rendering reads frozen rows and the pinned text and tariff only, so that a step that is
done again gives the same bytes. Tenants take turns within a lane.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, NoReturn
from uuid import UUID

from muster.customer import events
from muster.customer.domain.audience import Audience, Reason, left_out_by_word
from muster.customer.domain.hours import Hours, summary
from muster.customer.domain.limits import NO_LIMITS, too_dense
from muster.customer.domain.limits import Limits as SendLimits
from muster.customer.domain.links import Links, SendLinks
from muster.customer.domain.merge_text import MergeText
from muster.customer.domain.planning import (
    ChunkTooLarge,
    TooManyParts,
    Totals,
    add_up,
    make_chunk,
    recipients_max,
    strays,
    with_links,
)
from muster.customer.domain.pricing import Renderer
from muster.customer.domain.refusal import Refusal
from muster.customer.domain.senders import refusal
from muster.customer.domain.sends import (
    Phase,
    Problem,
    audience_changed,
    audience_empty,
    costs_more,
    limit_refused,
    no_hours,
    numbers_astray,
    plan_failed,
    sender_refused,
    text_refused,
    texts_grew,
    too_long,
)
from muster.customer.events import MessageClass
from muster.customer.handlers import guarding
from muster.customer.handlers.audiences import understand
from muster.customer.handlers.scheduling import tell_refused
from muster.customer.handlers.texts import text_of_quote
from muster.customer.store import again, audience, bulks, links, plans, quotes, reference
from muster.customer.store.audience_rules import rules_of
from muster.customer.store.hours import AT_ANY_HOUR, hours_of_customers
from muster.customer.store.plans import Plan
from muster.customer.store.quotes import Quote
from muster.customer.store.reference import Tenant
from muster.events import is_sandbox
from muster.kit import clock, observe, spans
from muster.kit.outbox import Lane, emit
from muster.kit.pg import RETRIABLE, Database, Record, Tx
from muster.kit.spans import Of
from muster.text import TextRefused

log = observe.logger(__name__)

_NOBODY: Final = UUID(int=0)
_REMEMBERED_MAX: Final = 4
_NAMED_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Chunks of one turn, time to sleep when there is nothing to do, and the time a freeze may take."""

    add_up_chunks: int
    publish_chunks: int
    idle_ms: int
    freeze_timeout_ms: int


class Planner:
    """Plans the sends of one lane. wake: called when facts were stored, so that the relay need not wait;
    guard: how much a business may send; at_once: how many sends wait for the database together, where there are any."""

    def __init__(
        self,
        db: Database,
        lane: Lane,
        limits: Limits,
        wake: Callable[[], None],
        guard: SendLimits = NO_LIMITS,
        *,
        at_once: int = 1,
        links: Links,
    ) -> None:
        self._db = db
        self._lane = lane
        self._limits = limits
        self._guard = guard
        self._at_once = at_once
        self._wake = wake
        self._links = links
        self._served = _NOBODY
        self._renderers: dict[UUID, Renderer] = {}

    async def run(self) -> NoReturn:
        """Take turns for ever; ends by cancellation only."""
        worked = False
        while True:
            # One looks whether there is anything: where there was, there may be more.
            worked = await (self._turns() if worked else self._patient_turn())
            if not worked:
                await asyncio.sleep(self._limits.idle_ms / 1000)

    async def _turns(self) -> bool:
        async with asyncio.TaskGroup() as group:
            turns = [group.create_task(self._patient_turn()) for _ in range(self._at_once)]
        return any(turn.result() for turn in turns)

    async def _patient_turn(self) -> bool:
        try:
            return await self.turn()
        except RETRIABLE as error:
            log.warning("planner.retry", lane=self._lane.name, exc_info=error)
            return False

    async def turn(self) -> bool:
        """One step of one send; False where there is nothing to plan."""
        plan = None
        try:
            async with self._db.worker() as tx:
                plan = await plans.take_plan(tx, self._lane, self._served)
                if plan is None:
                    return False
                self._served = plan.tenant_id
                await self._advance(tx, plan)
        except RETRIABLE:
            raise
        except Exception:
            if plan is None or not await self._park(plan):
                raise
        self._wake()
        return True

    async def _park(self, plan: Plan) -> bool:
        """A send that cannot be planned is refused, so that it stops nobody else's; False where it was said already."""
        log.exception("plan.failed", bulk_id=str(plan.bulk_id), step=plan.step)
        async with self._db.worker() as tx:
            await plans.lock_plan(tx, plan.tenant_id, plan.bulk_id)
            bulk = await bulks.lock_bulk(tx, plan.tenant_id, plan.bulk_id)
            if bulk is None or bulk["phase"] != Phase.PLANNING:
                return False
            await plans.save_plan(tx, await _refuse(tx, plan, plan_failed()))
        return True

    async def _advance(self, tx: Tx, plan: Plan) -> None:
        bulk = await bulks.bulk_of(tx, plan.tenant_id, plan.bulk_id)
        assert bulk is not None
        if bulk["phase"] not in (Phase.PLANNING, Phase.REQUESTED):
            await plans.save_plan(tx, replace(plan, step="done"))
            return
        quote = await quotes.quote_of(tx, plan.tenant_id, bulk["quote_id"])
        assert quote is not None
        try:
            plan = await self._step(tx, plan, bulk, quote)
            if self._lane is Lane.SMALL and plan.step == "add_up":
                bulk = await bulks.bulk_of(tx, plan.tenant_id, plan.bulk_id)  # it knows its chunks now
                assert bulk is not None
            while self._lane is Lane.SMALL and plan.step in ("add_up", "publish"):
                plan = await self._step(tx, plan, bulk, quote)
        except TextRefused as refused:
            plan = await _refuse(tx, plan, text_refused(str(refused)))
        except TooManyParts as longer:
            plan = await _refuse(tx, plan, too_long(longer.parts, longer.limit))
        except ChunkTooLarge:
            plan = await _refuse(tx, plan, texts_grew())
        await plans.save_plan(tx, plan)

    async def _step(self, tx: Tx, plan: Plan, bulk: Record, quote: Quote) -> Plan:
        made = {"freeze": self._freeze, "add_up": self._add_up}.get(plan.step, self._publish)
        about = {Of.BULK: str(plan.bulk_id), Of.STEP: plan.step}
        with spans.span(f"plan {plan.step}", parent=bulk["traceparent"], about=about):
            return await made(tx, plan, bulk, quote)

    async def _freeze(self, tx: Tx, plan: Plan, bulk: Record, quote: Quote) -> Plan:
        tenant = await reference.tenant_of(tx, plan.tenant_id)
        assert tenant is not None, "a quote needs a tenant"
        now, marketing = int(clock.now().timestamp()), bulk["message_class"] == MessageClass.MARKETING
        hours = AT_ANY_HOUR
        if marketing or quote.local is not None:
            kept = Hours(tenant.business, now, int(bulk["send_by"].timestamp()), marketing, quote.local)
            hours = await hours_of_customers(tx, plan.tenant_id, kept)
        await tx.allow_statements(self._limits.freeze_timeout_ms)
        asked, text = quote.audience, _text_of(quote)
        if asked.again is not None:
            reach = quote.tariff.reach
            ids = await again.recipients(tx, plan.tenant_id, asked.again, reach, quote.created_at)
            asked = Audience(customer_ids=ids)
        understood = await understand(tx, tenant, asked, quote.created_at, marketing=marketing)
        if isinstance(understood, Refusal):
            return await _refuse(tx, plan, audience_changed(understood.field, understood.message))
        frozen = await audience.freeze_audience(
            tx,
            plan.tenant_id,
            plan.bulk_id,
            asked,
            text,
            quote.tariff.reach,
            marketing=marketing,
            home=tenant.country,
            seen=(quote.snapshot, quote.created_at),
            chunk_max=_chunk_max(quote, text),
            hours=hours,
            rules=await rules_of(tx, plan.tenant_id, understood, freeze=True),
        )
        await bulks.save_frozen(
            tx,
            plan.tenant_id,
            plan.bulk_id,
            frozen.customers,
            frozen.recipients,
            frozen.chunks,
            left_out_by_word(frozen.left_out),
            summary(now, frozen.starts),
            understood.caps[1],
            frozen.at,
        )
        if frozen.recipients == 0:
            only_hours = frozen.left_out.get(Reason.OUTSIDE_HOURS, 0)
            return await _refuse(tx, plan, no_hours(only_hours) if only_hours else audience_empty())
        return replace(plan, step="add_up")

    async def _add_up(self, tx: Tx, plan: Plan, bulk: Record, quote: Quote) -> Plan:
        renderer = self._renderer(quote, plan.bulk_id)
        rows = await plans.frozen_chunks(tx, plan.tenant_id, plan.bulk_id, plan.next_chunk, self._limits.add_up_chunks)
        tenant = await reference.tenant_of(tx, plan.tenant_id)
        assert tenant is not None, "a quote needs a tenant"
        totals = plan.before
        for frozen in rows:
            astray = strays(frozen) if not is_sandbox(plan.tenant_id) else []
            if astray:
                return await _refuse(tx, plan, numbers_astray(astray[:_NAMED_MAX], frozen.country))
            destination = quote.tariff.destination(frozen.country)
            totals = add_up(totals, frozen, destination, renderer, tenant.parts_max)
            await _let_others_go_on()
        plan = replace(plan, next_chunk=plan.next_chunk + len(rows), before=totals)
        return plan if plan.next_chunk <= bulk["chunks"] else await _decide(tx, plan, self._guard)

    async def _publish(self, tx: Tx, plan: Plan, bulk: Record, quote: Quote) -> Plan:
        renderer, header = self._renderer(quote, plan.bulk_id), events.header_of(bulk)
        facts, totals = [], plan.before
        own = await self._links_of(tx, plan, quote)
        rows = await plans.frozen_chunks(tx, plan.tenant_id, plan.bulk_id, plan.next_chunk, self._limits.publish_chunks)
        for frozen in rows:
            chunk = make_chunk(totals, frozen, quote.tariff.destination(frozen.country), renderer)
            totals = totals.after(len(frozen), sum(chunk.parts), sum(chunk.prices))
            facts.append(events.chunk_attached(header, with_links(chunk, own) if own else chunk))
            await _let_others_go_on()
        await emit(tx, *facts)
        next_chunk = plan.next_chunk + len(rows)
        step = "publish" if next_chunk <= bulk["chunks"] else "done"
        return replace(plan, step=step, next_chunk=next_chunk, before=totals)

    async def _links_of(self, tx: Tx, plan: Plan, quote: Quote) -> SendLinks | None:
        """The links of its recipients, where its text has them."""
        if not quote.linked:
            return None
        [number] = await links.number_sends(tx, [(plan.tenant_id, plan.bulk_id)])
        return SendLinks(self._links, number)

    def _renderer(self, quote: Quote, bulk_id: UUID) -> Renderer:
        """What was rendered in this send's earlier turns is not rendered again."""
        renderer = self._renderers.pop(bulk_id, None) or Renderer(_text_of(quote))
        while len(self._renderers) >= _REMEMBERED_MAX:
            del self._renderers[next(iter(self._renderers))]
        self._renderers[bulk_id] = renderer
        return renderer


async def _let_others_go_on() -> None:
    """A turn renders up to a hundred thousand texts; a small send that is planned in this process meanwhile waits for
    its database a score of times, and each time would wait for such a turn too."""
    await asyncio.sleep(0)


async def _decide(tx: Tx, plan: Plan, guard: SendLimits) -> Plan:
    """The plan is known in full: it fits what was confirmed and is said, or it goes back to the user."""
    bulk = await bulks.lock_bulk(tx, plan.tenant_id, plan.bulk_id)
    assert bulk is not None
    if bulk["phase"] != Phase.PLANNING:
        return replace(plan, step="done")
    tenant = await reference.tenant_of(tx, plan.tenant_id)
    assert tenant is not None, "a quote needs a tenant"
    refused = await _against(tx, plan, tenant, bulk["sender"], guard)
    if refused is not None:
        return await _refuse(tx, plan, refused)
    totals = plan.before
    await bulks.save_total(tx, plan.tenant_id, plan.bulk_id, totals.parts, totals.credits)
    if totals.credits > bulk["credits_confirmed"] and bulk["credits_max"] is None:
        problem = costs_more(bulk["credits_confirmed"], totals.credits)
        await bulks.set_phase(tx, plan.tenant_id, plan.bulk_id, Phase.NEEDS_CONFIRMATION, problem)
        return replace(plan, step="waiting")
    await bulks.set_phase(tx, plan.tenant_id, plan.bulk_id, Phase.REQUESTED, None)
    sums = (totals.recipients, bulk["chunks"], totals.credits, bulk["credits_max"] or 0)
    await emit(tx, events.bulk_requested(events.header_of(bulk), *sums))
    return Plan(plan.tenant_id, plan.bulk_id, "publish", 1, Totals())


async def _against(tx: Tx, plan: Plan, tenant: Tenant, sender: str, guard: SendLimits) -> Problem | None:
    """What has come up since it was quoted, or is known of its numbers only now."""
    own = await reference.sender_of(tx, tenant, sender)
    lost = refusal(own) if own is not None else None
    if lost is not None:
        return sender_refused(lost.code, lost.message)
    limit = await guarding.too_dense(tx, tenant, plan.bulk_id, plan.before.recipients, guard)
    return None if limit is None else limit_refused(*too_dense(limit))


async def _refuse(tx: Tx, plan: Plan, problem: Problem) -> Plan:
    bulk = await bulks.lock_bulk(tx, plan.tenant_id, plan.bulk_id)
    assert bulk is not None
    if bulk["phase"] == Phase.PLANNING:
        await bulks.set_phase(tx, plan.tenant_id, plan.bulk_id, Phase.REFUSED, problem)
        await tell_refused(tx, bulk, problem)
        if bulk["control_version"]:
            # dispatch-svc has made a row for the control, which only this ends.
            await emit(tx, events.bulk_withdrawn(plan.tenant_id, plan.bulk_id, problem["code"], clock.now(), None))
        log.info("plan.refused", bulk_id=str(plan.bulk_id), code=problem["code"], at=clock.unix_ms())
    return replace(plan, step="done")


def _chunk_max(quote: Quote, text: MergeText) -> int:
    """How many recipients its chunks may have, by the longest message that was quoted."""
    longest = max(map(int, quote.details["by_parts"]), default=1)
    return recipients_max(quote.recipients, longest, personal=text.personal or quote.linked)


def _text_of(quote: Quote) -> MergeText:
    text = text_of_quote(quote)
    if isinstance(text, Refusal):
        raise TypeError(f"a quoted text is refused: {text.code}")
    return text
