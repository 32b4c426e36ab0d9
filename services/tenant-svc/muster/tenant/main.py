"""`python -m muster.tenant.main api|worker|migrate`: the only file that builds things."""

from datetime import timedelta
from hashlib import sha256
from uuid import NAMESPACE_URL, uuid5

from muster.events import NIL_TENANT
from muster.kit import clock, observe
from muster.kit.pg import Database
from muster.kit.process import Process
from muster.kit.repeat import repeat, until_done
from muster.kit.service import connect, main, serve_api, start_consumer, start_relay
from muster.kit.service import migrate as apply_migrations
from muster.kit.settings import secret
from muster.tenant import store
from muster.tenant.settings import TenantSettings
from muster.tenant.store import letters, sign_in

log = observe.logger(__name__)

# Sessions, links and guesses that are over: kept for who asks what happened.
_OVER_KEPT = timedelta(days=30)
_FORGET_EVERY_S = 3_600
_FORGET_AT_ONCE = 10_000

_OPERATOR = uuid5(NAMESPACE_URL, "urn:muster:operator")
_OPERATOR_KEY = uuid5(NAMESPACE_URL, "urn:muster:operator:key")


async def api(process: Process[TenantSettings]) -> None:
    """Serve the API. Ready once the signing keys are known."""
    from muster.kit.auth import Verifier
    from muster.tenant.api import ROUTERS
    from muster.tenant.api.hashing import Hasher
    from muster.tenant.api.keyring import Keyring

    db = await connect(process)
    keyring = Keyring(process.settings)
    verifier = Verifier.of(process.settings, fetch=keyring.fetch)
    serve_api(process, db, ROUTERS, keyring=keyring, verifier=verifier, hasher=Hasher(process.settings))
    await until_done("keyring.read", lambda: keyring.refresh(db))
    process.supervise("keyring", keyring.run(db))
    process.ready()
    await process.stopped()


async def worker(process: Process[TenantSettings]) -> None:
    """Keep the audit log, hear of suspensions, and publish what the API says."""
    from muster.tenant import handlers, mail

    db = await connect(process)

    async def say_again() -> None:
        async with db.worker() as tx:
            said = await handlers.say_again(tx, process.settings.tenant_said_again_s)
        log.info("tenants.said_again", tenants=said)

    async def forget() -> None:
        async with db.worker() as tx:
            await sign_in.forget(tx, clock.now() - _OVER_KEPT, _FORGET_AT_ONCE)
            await letters.forget(tx, clock.now() - _OVER_KEPT, _FORGET_AT_ONCE)

    postman = mail.postman(db, process.settings)
    process.supervise("mail", postman.run())
    process.on_stop(postman.stop)

    async def answer_asked() -> bool:
        answered = await mail.answer_asked(db, process.settings)
        postman.wake()
        return answered

    process.supervise("resets", repeat("resets", process.settings.tenant_mail_poll_s, answer_asked))
    process.supervise("sign_in.forget", repeat("sign_in.forget", _FORGET_EVERY_S, forget))
    start_relay(process, db, on_lead=say_again)
    start_consumer(process, db, topics=["audit", "checks", "suspensions"], handlers=handlers.HANDLERS)
    process.ready()
    await process.stopped()


async def migrate(process: Process[TenantSettings]) -> None:
    """Make or bring up to date: the database, the operators' credentials, the first signing key."""
    from muster.tenant.api.keyring import Keyring

    await apply_migrations(process)
    db = await connect(process)
    await put_operators(db, process.settings)
    await Keyring(process.settings).refresh(db)


async def put_operators(db: Database, settings: TenantSettings) -> None:
    """The operators and their API keys, as the environment says; only the secrets' hashes are stored.

    Who is not named any more has no access: nobody but the environment makes a second person.
    """
    first = secret(settings.operator_client_secret, "operator_client_secret")
    named = [(_OPERATOR, _OPERATOR_KEY, settings.operator_client_id, first)]
    for client_id, client_secret in settings.more_operators.items():
        urn = f"urn:muster:operator/{client_id}"
        named.append((uuid5(NAMESPACE_URL, urn), uuid5(NAMESPACE_URL, f"{urn}/key"), client_id, client_secret))
    async with db.request(NIL_TENANT) as tx:
        for user_id, key_id, client_id, client_secret in named:
            hashed = sha256(client_secret.encode()).digest()
            email = settings.operator_email.lower() if user_id == _OPERATOR else None
            await store.put_operator(tx, NIL_TENANT, user_id, key_id, client_id, hashed, email)
        await store.end_operators(tx, NIL_TENANT, [user_id for user_id, *_ in named])


if __name__ == "__main__":
    main("tenant", TenantSettings, api=api, worker=worker, migrate=migrate)
