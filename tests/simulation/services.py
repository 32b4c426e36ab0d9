"""The processes of all services by their own `main`, and the seams that they are given instead of the outside world."""

import asyncio
import logging
import os
import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from functools import cache
from random import Random
from typing import Any, Final
from unittest.mock import patch
from uuid import UUID

import muster.credit.main as credit
import muster.customer.main as customer
import muster.customer.planner
import muster.dispatch.handlers.pace
import muster.dispatch.main as dispatch
import muster.dispatch.sender
import muster.dispatch.sender.sandbox
import muster.kit.consumer.client
import muster.kit.consumer.loop
import muster.kit.consumer.watch
import muster.kit.http
import muster.kit.producer
import muster.kit.relay
import muster.kit.service
import muster.kit.tokens
import muster.reply.main as reply
import muster.report.main as report
import muster.tenant.main as tenant
from muster.credit.settings import CreditSettings
from muster.customer.importer.engine import Inline
from muster.customer.settings import CustomerSettings
from muster.dispatch.settings import DispatchSettings
from muster.events import TOPICS
from muster.kit import clock, observe
from muster.kit.auth import Caller, Role
from muster.kit.service import connect, serve_api, start_relay
from muster.reply.settings import ReplySettings
from muster.report.settings import ReportSettings
from muster.report.stream import applier
from muster.tenant.api import ROUTERS as TENANT_ROUTERS
from muster.tenant.settings import TenantSettings
from simulation.broker import SimConsumer, SimProducer
from simulation.carrier import PORT
from simulation.database import SimDatabase
from simulation.faults import RESPONSE_TIMEOUT_S
from simulation.world import Spec, World

KEY: Final = bytes(range(32)).hex()
ID_KEY: Final = bytes(range(32, 64)).hex()
UNKNOWN_KEPT_S: Final = 40.0
LEASE_S: Final = 6.0
_APPS: Final[dict[str, Any]] = {}
_create_app = muster.kit.http.create_app


@cache
def specs() -> dict[str, Spec]:
    """Every process. Where only how often something is looked at is set, it is less often: time is jumped over."""
    base: dict[str, Any] = {"environment": "development", "database_app": "simulated", "database_worker": "simulated"}
    keys: dict[str, Any] = {**base, "hash_key": KEY}
    customers = CustomerSettings(
        **keys,
        bulk_id_key=ID_KEY,
        customer_plan_idle_ms=3_000,
        customer_schedule_idle_ms=20_000,
        customer_import_idle_ms=20_000,
        erasure_look_s=20.0,
    )
    dispatching = DispatchSettings(
        **keys, bulk_id_key=ID_KEY, carrier_port=PORT, carrier_response_timeout_s=RESPONSE_TIMEOUT_S, carrier_window=20,
        dispatch_lease_s=LEASE_S, dispatch_poll_s_min=0.3,
        dispatch_poll_s_max=3.0, dispatch_watch_s=0.5, dispatch_sweep_s=1.5,
        dispatch_unknown_kept_s=UNKNOWN_KEPT_S, dispatch_account_repeat_s=10.0, dispatch_ids_kept_s=20.0,
        dispatch_receipts_linger_min=3, dispatch_held_s=5.0, dispatch_account_look_s=10.0,
        carrier_networks="127.0.0.0/8", erasure_look_s=20.0, dispatch_waits_look_s=30.0,
    )  # fmt: skip
    credits = CreditSettings(**base, credit_rate_poll_s=20.0, credit_charge_poll_s=20.0)
    replies = ReplySettings(**keys, reply_mail_poll_s=15.0, reply_mail_lease_s=20.0, erasure_look_s=20.0)
    reports = ReportSettings(**base, erasure_look_s=20.0)
    tenants = TenantSettings(**keys, operator_client_secret="simulated")
    return {
        "tenant.api": Spec("tenant", _tenant_api, tenants),
        "tenant.worker": Spec("tenant", tenant.worker, tenants),
        "customer.api": Spec("customer", customer.api, customers),
        "customer.worker": Spec("customer", customer.worker, customers),
        "credit.api": Spec("credit", credit.api, credits),
        "credit.worker": Spec("credit", credit.worker, credits),
        "dispatch.api": Spec("dispatch", dispatch.api, dispatching),
        "dispatch.worker": Spec("dispatch", dispatch.worker, dispatching),
        "dispatch.sender": Spec("dispatch", dispatch.sender, dispatching),
        "reply.api": Spec("reply", reply.api, replies),
        "reply.worker": Spec("reply", reply.worker, replies),
        "report.api": Spec("report", report.api, reports),
        "report.worker": Spec("report", _report_worker, reports),
    }


# How often that is looked at which a history has not, or which nothing in it waits for: each look costs a history more
# than what it is about. Where a history is about it, it is as often as in production.
_SELDOM: Final[tuple[tuple[Any, str, float], ...]] = (
    (muster.kit.service, "_LETTERS_EVERY_S", 20.0),
    (muster.kit.relay, "_MEASURE_S", 30.0),
    (muster.dispatch.sender.sandbox, "_LOOK_S", 15.0),
    (muster.dispatch.sender, "JUDGE_EVERY_S", 0.5),
    (muster.dispatch.sender, "EVERY_S", 0.5),
    (muster.dispatch.sender, "JOIN_EVERY_S", 1.0),
    (muster.dispatch.handlers.pace, "EVERY_S", 3.0),
)
_LOOK_AT_ACCOUNTS_S: Final = 6.0

# Failover in the time of a history, and schedules that start twice in it.
_SOON: Final = {
    "dispatch": {
        "dispatch_account_look_s": 1.0, "dispatch_adopt_s": 2.0, "dispatch_down_s": 2.0, "dispatch_rest_s_min": 2.0,
        "dispatch_mend_step_s": 2.0,
    },
    "customer": {"customer_schedule_gap_min": 1, "customer_schedule_idle_ms": 2_000},
}  # fmt: skip


def specs_of(chapters: frozenset[str]) -> dict[str, Spec]:
    """Every process of a history that has these chapters."""
    found = dict(specs())
    for chapter, service in (("accounts", "dispatch"), ("schedule", "customer")):
        if chapter in chapters:
            for name, spec in found.items():
                if spec.service == service:
                    found[name] = replace(spec, settings=spec.settings.model_copy(update=_SOON[service]))
    if "accounts" in chapters:
        found["dispatch.sender.1"] = found["dispatch.sender"]
    return found


async def _tenant_api(process: Any) -> None:
    """Without the keyring: tokens are not simulated."""
    serve_api(process, await connect(process), TENANT_ROUTERS)
    process.ready()
    await process.stopped()


async def _report_worker(process: Any) -> None:
    """The real applier, fed as Faust feeds it: at least once, from the last acknowledged offset. Faust itself is not
    simulated: it owns its threads and its loop."""
    db = await connect(process)
    start_relay(process, db)
    process.supervise("stream", _stream(db))
    process.ready()
    await process.stopped()


class _FromCommitted:
    """What Faust does at a rebalance: start after the last acknowledged record."""

    def __init__(self, kafka: SimConsumer, acknowledged: dict[Any, int]) -> None:
        self._kafka = kafka
        self._acknowledged = acknowledged

    async def on_partitions_revoked(self, _: set[Any]) -> None:
        """What is in hand is applied to its end."""

    async def on_partitions_assigned(self, assigned: set[Any]) -> None:
        """Records come again that were applied and not acknowledged."""
        for tp in assigned:
            self._kafka.seek(tp, self._acknowledged.get(tp, 0))


async def _stream(db: Any) -> None:
    kafka = muster.kit.consumer.client.AIOKafkaConsumer(group_id=applier.GROUP)
    await kafka.start()
    acknowledged = kafka.world.broker.groups[applier.GROUP].committed
    topics = [name for name, topic in TOPICS.items() if "report" in topic.consumers]
    kafka.subscribe(topics, listener=_FromCommitted(kafka, acknowledged))
    while True:
        for tp, records in (await kafka.getmany(timeout_ms=5_000)).items():
            await applier.apply(db, [applier.record_of(record) for record in records])
            await kafka.commit({tp: max(records[-1].offset + 1, acknowledged.get(tp, 0))})


class Verifier:
    """A token is "<tenant>:<role>"."""

    async def verify(self, token: str) -> Caller:
        """Whoever it says."""
        tenant_id, _, role = token.partition(":")
        return Caller(UUID(tenant_id), "user", Role(role), "")


class Relay:
    """A mail relay that writes down what it gets."""

    world: World

    def __init__(self, *_: object) -> None:
        self._node = self.world.here()

    @asynccontextmanager
    async def connect(self) -> Any:
        """A connection."""
        await asyncio.sleep(0.01)
        self.world.check(self._node)
        yield self

    async def sendmail(self, _sender: str, recipients: list[str], _content: bytes) -> None:
        """It is taken."""
        await asyncio.sleep(0.01)
        self.world.check(self._node)
        self.world.letters.append((self.world.loop.time(), recipients[0]))


def _inline(**_: object) -> Any:
    """What reads files of customers, without a process of its own."""
    return Inline()


def _app(service: str, *, routers: Any, state: Any, lifespan: Any = None) -> Any:
    """The app of a service, built once: its many models take longer than a whole seed."""
    if service not in _APPS:
        _APPS[service] = _create_app(service, routers=routers, state={}, lifespan=lifespan)
    app = _APPS[service]
    for name, value in {**state, "verifier": Verifier(), "desk": muster.kit.http.Desk(state["db"])}.items():
        setattr(app.state, name, value)
    return app


def quiet() -> None:
    """Logs say nothing: a seed makes thousands of lines of what went wrong on purpose."""
    observe.render(logging.CRITICAL, sys.stderr)
    logging.getLogger("muster").setLevel(logging.CRITICAL)


async def _never() -> None:
    await asyncio.Event().wait()


@contextmanager
def installed(world: World, chunk_max: int) -> Iterator[None]:
    """Production code in this interpreter lives in this world until the end of the block."""

    class Databases:
        @staticmethod
        async def connect(*_: object, **__: object) -> SimDatabase:
            return SimDatabase.of(world, world.here().service)

    def serve_http(_process: Any, app: Any, _settings: Any) -> int:
        world.apps[world.here().service] = world.here(), app
        return 0

    kafka = type("Kafka", (SimConsumer,), {"world": world})
    urandom = world.rng("urandom")
    replacements: list[tuple[Any, str, Any]] = [
        (muster.kit.service, "Database", Databases),
        (muster.kit.service, "serve_http", serve_http),
        (muster.kit.producer, "Producer", SimProducer.of(world)),
        (muster.kit.consumer.client, "AIOKafkaConsumer", kafka),
        (muster.kit.consumer.watch, "AIOKafkaConsumer", kafka),
        (muster.kit.http, "create_app", _app),
        (muster.kit.tokens.Verifier, "of", lambda *_, **__: Verifier()),
        (observe, "service", lambda: world.here().service),
        (reply, "MailRelay", type("MailRelay", (Relay,), {"world": world})),
        (muster.kit.relay, "POLL_MIN_S", 0.4),
        (muster.kit.relay, "POLL_MAX_S", 6.0),
        (muster.kit.consumer.loop, "_POLL_MS", 5_000),
        (muster.customer.domain.planning, "CHUNK_RECIPIENTS_MAX", chunk_max),
        (customer, "_warm", _never),  # a thread comes back when it likes
        (customer, "Child", _inline),  # and so does a process
        (os, "urandom", urandom.randbytes),
    ]
    replacements += _SELDOM
    if "accounts" not in world.chapters:
        replacements.append((dispatch, "FAILOVER_S", _LOOK_AT_ACCOUNTS_S))
    with ExitStack() as stack:
        for target, name, value in replacements:
            stack.enter_context(patch.object(target, name, value))
        wall_us = world.shown_us if world.wrong_by_s else world.now_us
        stack.enter_context(clock.replaced(lambda: wall_us() * 1000, world.loop.time))
        random.seed(Random(f"{world.seed}/global").random())
        yield
