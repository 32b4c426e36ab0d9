"""What of the product answers for an audience: customer-svc's own processes and a PostgreSQL as the product runs it.

There is no Kafka: what would come from there (the business, its sender, prices, routes) is applied as the consumer
would, and what would go there stays in the outbox. Tokens are signed by a key of the bench, which serves it.
"""

import asyncio
import base64
import http.client
import json
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bench.send import NotEnded
from muster.customer.handlers import facts
from muster.events import NIL_TENANT
from muster.events.v1.platform_pb2 import SENDER_STANDING_ACTIVE, RatesChanged, RouteChanged, SenderChanged
from muster.events.v1.tenants_pb2 import TenantChanged
from muster.kit.migrate import migrate
from muster.kit.pg import Database
from muster.kit.testing import PASSWORD, apply, role_dsn
from muster.local.ports import free_port
from muster.local.postgres import Postgres
from muster.local.process import Command, spawn, stop, wait_until_ready
from muster.local.programs import module

SENDER: Final = "61400000000"
_READY_S: Final = 60.0
_STOP_S: Final = 10.0
_ANSWER_S: Final = 600.0
_TOKEN_S: Final = 86_400
_SECRET: Final = "5a" * 32
_NO_LIMITS: Final = ("RANGE_HOURLY", "PREFIX_HOURLY", "PLAN_RANGE", "START_DAILY")


class Api:
    """Requests of one business to customer-svc, over one connection that stays open."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_S)
        self._headers = {"Authorization": f"Bearer {token}"}

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The answer as JSON. A file is sent as it is read. NotEnded for an answer that is an error."""
        content = json.dumps(body) if isinstance(body, dict) else body
        kind = {"Content-Type": "application/json"} if isinstance(body, dict) else {}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection.request(method, path, content, {**self._headers, **kind, **named})
        answer = self._connection.getresponse()
        told = answer.read()
        if answer.status >= 400:
            raise NotEnded(f"{method} {path}: {answer.status} {told.decode(errors='replace')[:300]}")
        return json.loads(told) if told else None

    def timed(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[float, Any]:
        """The answer, and how many seconds it took."""
        began = time.perf_counter()
        told = self.ask(method, path, body, **headers)
        return time.perf_counter() - began, told


class System:
    """customer-svc over a folder: `with running(folder) as system`."""

    def __init__(self, server: Postgres, api_port: int, key: Ed25519PrivateKey, processes: Mapping[str, int]) -> None:
        self._server = server
        self._port = api_port
        self._key = key
        self.processes = processes

    def api(self, tenant_id: UUID) -> Api:
        """The API as an administrator of this business has it."""
        now = int(time.time())
        claims = {
            **{"iss": "muster", "aud": "muster", "sub": "bench", "tenant": str(tenant_id), "role": "admin"},
            **{"key": "bench", "iat": now, "exp": now + _TOKEN_S},
        }
        return Api(self._port, jwt.encode(claims, self._key, algorithm="EdDSA", headers={"kid": "bench"}))

    @property
    def admin_dsn(self) -> str:
        """The superuser's address of customer-svc's database."""
        return self._server.dsn("customer")

    async def open(self, *tenants: UUID) -> None:
        """Let these businesses be there, with a price and a route for what they send."""
        db = await Database.connect(*(role_dsn(self.admin_dsn, f"customer_{role}") for role in ("app", "worker")))
        try:
            await apply(db, facts.on_tenant_changed, *map(_tenant, tenants))
            await apply(db, facts.on_sender_changed, *map(_sender, tenants))
            nobody = {"tenant_id": str(NIL_TENANT), "version": 1}
            await apply(db, facts.on_rates_changed, RatesChanged(**nobody, country="AU", credits_per_part=1))
            await apply(db, facts.on_route_changed, RouteChanged(**nobody, route="all", reference_bits=8, open=True))
        finally:
            await db.close()


def _tenant(tenant_id: UUID) -> TenantChanged:
    zone = "Australia/Melbourne"
    named = {"name": "Bench", "country": "AU", "time_zone": zone, "sender": f"+{SENDER}", "countries": ["*"]}
    return TenantChanged(tenant_id=str(tenant_id), version=1, **named)


def _sender(tenant_id: UUID) -> SenderChanged:
    owned = {"owner_tenant_id": str(tenant_id), "sender": SENDER, "version": 1}
    return SenderChanged(tenant_id=str(NIL_TENANT), **owned, standing=SENDER_STANDING_ACTIVE, active=True)


@contextmanager
def running(folder: Path) -> Iterator[System]:
    """PostgreSQL and customer-svc's API and worker; all ended and removed afterwards."""
    folder.chmod(0o711)
    server = Postgres(folder / "postgres")
    key = Ed25519PrivateKey.generate()
    started: dict[str, subprocess.Popen[bytes]] = {}
    try:
        server.start()
        secrets = {"app_password": PASSWORD, "worker_password": PASSWORD}
        asyncio.run(migrate(server.dsn(), "customer", **secrets))
        with _served_keys(key) as keys_url:
            ports = {name: (free_port(), free_port()) for name in ("api", "worker")}
            for name, (port, health) in ports.items():
                log = folder / f"{name}.log"
                env = _environment(server, keys_url, port, health)
                started[name] = spawn(Command(module("muster.customer.main", name), env=env), log)
                wait_until_ready(name, started[name], partial(_why_not_ready, health), log, _READY_S)
            yield System(server, ports["api"][0], key, {name: process.pid for name, process in started.items()})
    finally:
        for process in started.values():
            stop(process, signal.SIGTERM, _STOP_S)
        server.stop()
        server.remove()


def _environment(server: Postgres, keys_url: str, port: int, health: int) -> dict[str, str]:
    dsn = server.dsn("customer")
    return {
        "MUSTER_DATABASE_APP": role_dsn(dsn, "customer_app"),
        "MUSTER_DATABASE_WORKER": role_dsn(dsn, "customer_worker"),
        "MUSTER_HASH_KEY": _SECRET,
        "MUSTER_BULK_ID_KEY": _SECRET,
        "MUSTER_JWKS_URL": keys_url,
        "MUSTER_HTTP_PORT": str(port),
        "MUSTER_METRICS_PORT": str(health),
        "MUSTER_KAFKA": f"127.0.0.1:{free_port()}",
        **{f"MUSTER_CUSTOMER_{name}_MAX": "0" for name in _NO_LIMITS},
    }


def _why_not_ready(port: int) -> str | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health/ready")
        status = connection.getresponse().status
    except OSError as error:
        return str(error)
    finally:
        connection.close()
    return None if status == 200 else f"it answers {status}"


@contextmanager
def _served_keys(key: Ed25519PrivateKey) -> Iterator[str]:
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    x = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    public = {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "bench", "x": x}
    document = json.dumps({"keys": [public]}).encode()

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(document)))
            self.end_headers()
            self.wfile.write(document)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/keys"
    finally:
        server.shutdown()
        server.server_close()
