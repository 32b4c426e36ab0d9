"""`python -m muster.tenant.main api|worker|migrate`: the only file that builds things."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from hashlib import sha256
from uuid import NAMESPACE_URL, uuid5

from muster.events import NIL_TENANT
from muster.kit import observe
from muster.kit.migrate import migrate as migrate_database
from muster.kit.pg import RETRIABLE, Database, Overloaded
from muster.kit.process import Process, run, serve_http
from muster.kit.settings import load, secret
from muster.tenant import store
from muster.tenant.settings import TenantSettings

log = observe.logger(__name__)

_OPERATOR = uuid5(NAMESPACE_URL, "urn:muster:operator")
_OPERATOR_KEY = uuid5(NAMESPACE_URL, "urn:muster:operator:key")
_RETRY_S = 1.0
_TRANSIENT: tuple[type[Exception], ...] = (*RETRIABLE, Overloaded)


async def api(process: Process) -> None:
    """Serve the API. Ready once the signing keys are known."""
    from muster.kit.auth import Verifier
    from muster.kit.http import create_app
    from muster.kit.idempotency import forget_old_answers
    from muster.tenant.api import ROUTERS
    from muster.tenant.api.keyring import Keyring

    settings = _settings()
    db = await _database(process, settings)
    keyring = Keyring(settings)
    verifier = Verifier.of(settings, fetch=keyring.fetch)
    state = {"db": db, "settings": settings, "keyring": keyring, "verifier": verifier}
    serve_http(process, create_app("tenant", routers=ROUTERS, state=state), settings)
    await _until_read(keyring.refresh, db)
    process.supervise("keyring", keyring.run(db))
    process.supervise("idempotency", forget_old_answers(db, settings.idempotency_kept_h))
    process.ready()
    await process.stopped()


async def worker(process: Process) -> None:
    """Keep the audit log and publish what the API says."""
    from muster.kit.consumer import Consumer
    from muster.kit.outbox import Lane
    from muster.kit.producer import Producer
    from muster.kit.relay import Relay
    from muster.tenant import handlers

    settings = _settings()
    db = await _database(process, settings)
    producer = Producer(settings.kafka)
    await producer.start()
    process.on_stop(producer.stop)
    relay = Relay(db, producer, list(Lane), source="tenant")
    process.supervise("relay", relay.run())
    process.on_stop(relay.stop)

    async def say_again(db: Database) -> None:
        async with db.worker() as tx:
            log.info("tenants.said_again", tenants=await handlers.say_again(tx, settings.tenant_said_again_s))

    await _until_read(say_again, db)
    acts = {"ActRecorded": handlers.on_act_recorded}
    consumer = Consumer(db, bootstrap=settings.kafka, group="tenant", topics=["audit"], handlers=acts)
    process.supervise("consumer", consumer.run())
    process.on_stop(consumer.stop)
    process.ready()
    await process.stopped()


async def migrate(_: Process) -> None:
    """Make or bring up to date: the database, the operator's credentials, the first signing key."""
    from muster.tenant.api.keyring import Keyring

    settings = _settings()
    await migrate_database(secret(settings.postgres, "postgres"), "tenant")
    db = await Database.connect(
        secret(settings.database_app, "database_app"), secret(settings.database_worker, "database_worker")
    )
    try:
        await put_operator(db, settings)
        await Keyring(settings).refresh(db)
    finally:
        await db.close()


async def put_operator(db: Database, settings: TenantSettings) -> None:
    """The operator's user and API key, as the environment says; only the secret's hash is stored."""
    secret_hash = sha256(secret(settings.operator_client_secret, "operator_client_secret").encode()).digest()
    async with db.request(NIL_TENANT) as tx:
        await store.put_operator(tx, NIL_TENANT, _OPERATOR, _OPERATOR_KEY, settings.operator_client_id, secret_hash)


def _settings() -> TenantSettings:
    observe.name_service("tenant")
    return load(TenantSettings)


async def _database(process: Process, settings: TenantSettings) -> Database:
    db = await Database.connect(
        secret(settings.database_app, "database_app"),
        secret(settings.database_worker, "database_worker"),
        app_pool_max=settings.app_pool_max,
        worker_pool_max=settings.worker_pool_max,
        statement_timeout_ms=settings.statement_timeout_ms,
        lock_timeout_ms=settings.lock_timeout_ms,
        idle_in_transaction_timeout_ms=settings.idle_in_transaction_timeout_ms,
    )
    process.on_stop(db.close)
    return db


async def _until_read(work: Callable[[Database], Awaitable[object]], db: Database) -> None:
    """Services start in any order: try again while the database is away."""
    while True:
        try:
            await work(db)
            return
        except _TRANSIENT as error:
            log.warning("database.not_there_yet", exc_info=error)
            await asyncio.sleep(_RETRY_S)


if __name__ == "__main__":
    run({"api": api, "worker": worker, "migrate": migrate}[sys.argv[1]], load(TenantSettings))
