"""What the processes of all services have in common: the command, the database, the API, the relay, the consumers.

if __name__ == "__main__":
    main("credit", CreditSettings, api=api, worker=worker)
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from muster.kit import observe
from muster.kit.migrate import migrate as apply_migrations
from muster.kit.migrate import password_of
from muster.kit.pg import Database
from muster.kit.process import Process, serve_http
from muster.kit.program import run_program
from muster.kit.repeat import repeat
from muster.kit.settings import ServiceSettings, secret

if TYPE_CHECKING:
    from fastapi import APIRouter

    from muster.kit.consumer.received import Handler
    from muster.kit.erasure import Blank
    from muster.kit.relay import Relay

_LETTERS_EVERY_S = 5.0
_LATE_EVERY_S = 600.0
_LETTERS_KEPT = timedelta(days=90)

S = TypeVar("S", bound=ServiceSettings)


def main(service: str, settings: type[S], **commands: Callable[[Process[S]], Awaitable[None]]) -> NoReturn:
    """Run the command that the first argument names: one of these, or `migrate`. See run_program."""
    run_program(service, settings, {"migrate": migrate, **commands})


async def migrate(process: Process[Any]) -> None:
    """Bring the service's database to its newest version, with the passwords of its roles as the settings have them."""
    settings: ServiceSettings = process.settings
    await apply_migrations(
        secret(settings.postgres, "postgres"),
        observe.service(),
        app_password=password_of(settings.database_app.get_secret_value()),
        worker_password=password_of(settings.database_worker.get_secret_value()),
        tls=settings.tls,
    )


async def connect(process: Process[Any]) -> Database:
    """The service's database by its settings; closed at the end of the process."""
    settings: ServiceSettings = process.settings
    db = await Database.connect(
        secret(settings.database_app, "database_app"),
        secret(settings.database_worker, "database_worker"),
        app_pool_max=settings.app_pool_max,
        worker_pool_max=settings.worker_pool_max,
        statement_timeout_ms=settings.statement_timeout_ms,
        lock_timeout_ms=settings.lock_timeout_ms,
        idle_in_transaction_timeout_ms=settings.idle_in_transaction_timeout_ms,
        pool_wait_ms=settings.pool_wait_ms,
        generic_plans=settings.generic_plans,
        tls=settings.tls,
    )
    process.on_stop(db.close)
    return db


def serve_api(process: Process[Any], db: Database, routers: Sequence["APIRouter"], **state: Any) -> None:
    """Serve these routes, and forget stored answers that are old. `state` is added to the app's, or replaces it."""
    # Here: a worker has no use for a web framework.
    from muster.kit.auth import Verifier
    from muster.kit.http import create_app
    from muster.kit.idempotency import forget_old_answers

    settings: ServiceSettings = process.settings
    common = {"db": db, "settings": settings, "verifier": Verifier.of(settings)}
    serve_http(process, create_app(observe.service(), routers=routers, state={**common, **state}), settings)
    process.supervise("idempotency", forget_old_answers(db, settings.idempotency_kept_h))


def api_of(package: str) -> Callable[[Process[Any]], Awaitable[None]]:
    """The command that serves the ROUTERS of a package ("muster.credit.api"), which no other command imports."""

    async def api(process: Process[Any]) -> None:
        serve_api(process, await connect(process), import_module(package).ROUTERS)
        process.ready()
        await process.stopped()

    return api


def start_relay(
    process: Process[Any], db: Database, *, on_lead: Callable[[], Awaitable[object]] | None = None
) -> "Relay":
    """Publish the outbox of the service, both lanes, for as long as the process lives; and watch what is parked.

    `on_lead`: see Relay.
    """
    from muster.kit.outbox import Lane
    from muster.kit.producer import Producer
    from muster.kit.relay import Relay

    producer = Producer(process.settings.broker, client_id=observe.service())
    process.on_stop(producer.stop)
    relay = Relay(db, producer, tuple(Lane), source=observe.service(), on_lead=on_lead)
    process.supervise("relay", relay.run(), stop=relay.stop)
    process.supervise("dead-letters", repeat("dead-letters.watch", _LETTERS_EVERY_S, lambda: _watch_letters(db)))
    return relay


async def _watch_letters(db: Database) -> None:
    """Say how many wait for an operator; forget those that were decided long ago."""
    from muster.kit.consumer import letters

    async with db.worker() as tx:
        await letters.measure(tx, observe.service())
        await letters.forget(tx, _LETTERS_KEPT)


def start_forgetting(process: Process[Any], db: Database, blank: "Blank") -> None:
    """Forget the people who were erased, for as long as the process lives: `blank` does so in the service's tables."""
    from muster.kit import erasure

    every_s = process.settings.erasure_look_s
    process.supervise("erasure", repeat("erasure", every_s, lambda: erasure.forget(db, blank)))
    process.supervise("erasure.late", repeat("erasure.late", _LATE_EVERY_S, lambda: erasure.forget_late(db)))


def start_consumer(
    process: Process[Any],
    db: Database,
    *,
    topics: Sequence[str],
    handlers: Mapping[str, "Handler"],
    after_commit: Callable[[Sequence[str]], None] | None = None,
    batch_max: int = 500,
    name: str = "consumer",
) -> None:
    """Apply the events of these topics, as the group of the service's name, for as long as the process lives."""
    from muster.kit.consumer import Consumer, ConsumerSettings

    settings: ServiceSettings = process.settings
    consumer = Consumer(
        db,
        bootstrap=settings.broker,
        group=observe.service(),
        topics=topics,
        handlers=handlers,
        batch_max=batch_max,
        settings=ConsumerSettings(session_timeout_ms=settings.kafka_session_timeout_ms),
        after_commit=after_commit,
    )
    process.supervise(name, consumer.run(), stop=consumer.stop)
