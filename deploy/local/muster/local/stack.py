"""The whole product on one machine: `async with Stack(var) as stack`."""

import asyncio
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

from muster.local import caddy, seed
from muster.local.kafka import Kafka
from muster.local.postgres import Postgres, check_given
from muster.local.probes import http_ok
from muster.local.process import Command
from muster.local.programs import module
from muster.local.routes import SERVICES
from muster.local.supervisor import Part, Stage, Supervisor
from muster.local.var import Lock, Ports, Secrets, write_json

HOST = "127.0.0.1"
ROLES = dict.fromkeys(SERVICES, ("api", "worker")) | {"dispatch": ("api", "worker", "sender")}
_SYSTEM_ID = "muster"


class Stack:
    """Kafka, PostgreSQL, Caddy, the carrier, the mail catcher and every service, each a process of its own.

    Entering starts all of it (PartError names what did not come up) and writes `run.json`; leaving ends all of it.
    `run` is the content of `run.json`. MUSTER_KAFKA and MUSTER_POSTGRES name servers to use instead of our own;
    `carrier` (with host, port, system_id, password, control_url) one instead of the simulator.
    `env` is added to every service's environment. Use it from the main thread: see `process.spawn`.
    """

    def __init__(
        self,
        var: Path,
        *,
        say: Callable[[str], None] = print,
        services: Sequence[str] = SERVICES,
        with_tenant: bool = True,
        env: Mapping[str, str] | None = None,
        carrier_arguments: Sequence[str] = (),
        carrier: Mapping[str, Any] | None = None,
    ) -> None:
        self.var = var
        self.run: dict[str, Any] = {}
        self._is_up = False
        self._say = say
        self._services = services
        self._with_tenant = with_tenant
        self._env = dict(env or {})
        self._carrier_arguments = carrier_arguments
        self._carrier_given = carrier
        self._lock = Lock(var)
        self._external_kafka = os.environ.get("MUSTER_KAFKA")
        self._external_postgres = os.environ.get("MUSTER_POSTGRES")

    async def __aenter__(self) -> Self:
        self._lock.acquire()
        (self.var / "run.json").unlink(missing_ok=True)  # of a run that was killed: nothing in it is true any more
        self._ports, self._secrets = Ports(self.var), Secrets(self.var)
        self._supervisor = Supervisor(
            self.var / "log", say=self._say, on_change=self._write_run, keep_open=(self._lock.fd,)
        )
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    def pid(self, name: str) -> int:
        """The process id of a part now."""
        return self._supervisor.pids()[name]

    def kill(self, name: str) -> None:
        """Kill a part with SIGKILL; the supervisor starts it again."""
        os.kill(self.pid(name), signal.SIGKILL)

    async def wait_ready(self, name: str) -> None:
        """Wait until a part serves (again); PartError after its limit."""
        await self._supervisor.wait_ready(name)

    def restarts(self, name: str) -> int:
        """How often a part was started again."""
        return self._supervisor.restarts[name]

    async def _start(self) -> None:
        if self._external_postgres:
            await asyncio.to_thread(check_given, self._postgres())
        await self._supervisor.start(*self._stores(), self._mail(), *self._carrier())
        if self._services:
            await self._prepare_stores()
        apis = {service: self._ports[f"{service}.api.0.http"] for service in self._services}
        services = [self._service(service, role) for service in self._services for role in ROLES[service]]
        await self._supervisor.start(*services, self._caddy(apis))
        if self._with_tenant:
            await seed.ensure_tenant(self.run, self.var, self._secrets)
        self._is_up = True
        self._write_run()

    async def _stop(self) -> None:
        await self._supervisor.stop()
        (self.var / "run.json").unlink(missing_ok=True)
        self._ports.close()
        self._lock.release()

    # The parts.

    def _stores(self) -> list[Part]:
        parts = []
        if not self._external_kafka:
            kafka = Kafka(
                self.var / "kafka",
                port=self._ports["kafka"],
                controller_port=self._ports["kafka.controller"],
                log=self._supervisor.log("kafka"),
            )
            parts.append(Part("kafka", kafka.command, kafka.why_not_ready, Stage.STORE, 120, kafka.prepare))
        if not self._external_postgres:
            postgres = Postgres(
                self.var / "postgres",
                port=self._ports["postgres"],
                password=self._secrets["postgres"],
                log=self._supervisor.log("postgres"),
            )
            parts.append(Part("postgres", postgres.command, postgres.why_not_ready, Stage.STORE, 60, postgres.prepare))
        return parts

    def _mail(self) -> Part:
        smtp, http = self._ports["mail.smtp"], self._ports["mail.http"]
        command = Command(module("muster.local.mail", "--smtp-port", str(smtp), "--http-port", str(http)))
        return Part("mail", lambda: command, http_ok(http, "/"), Stage.EDGE)

    def _carrier(self) -> list[Part]:
        if self._carrier_given is not None:
            return []
        control = self._ports["carrier.control"]
        account = self._carrier_account()
        arguments = {"host": HOST, "port": account["port"], "system-id": account["system_id"], "control-port": control}
        words = [word for name, value in arguments.items() for word in (f"--{name}", str(value))]
        env = {"MUSTER_CARRIER_PASSWORD": account["password"]}
        command = Command(module("muster.local.carrier", *words, *self._carrier_arguments), env)
        return [Part("carrier", lambda: command, http_ok(control, "/stats"), Stage.EDGE)]

    def _caddy(self, apis: Mapping[str, int]) -> Part:
        port = self._ports["caddy"]
        command = caddy.command(self.var / "caddy", port, apis)
        return Part("caddy", lambda: command, http_ok(port, "/"), Stage.EDGE)

    def _service(self, service: str, role: str) -> Part:
        name = f"{service}.{role}.0"
        metrics = self._ports[f"{name}.metrics"]
        env = {**self._service_env(service), "MUSTER_METRICS_PORT": str(metrics)}
        if role == "api":
            env["MUSTER_HTTP_PORT"] = str(self._ports[f"{name}.http"])
        command = Command(module(f"muster.{service}.main", role), env)
        return Part(name, lambda: command, http_ok(metrics, "/health/ready"))

    async def _prepare_stores(self) -> None:
        registry = str(files("muster.events") / "topics.yaml")
        size = "--fitting" if self._external_kafka else "--laptop"
        commands = {"topics": Command(module("muster.kit.topics", registry, size), {"MUSTER_KAFKA": self._kafka})}
        for service in self._services:
            env = {**self._service_env(service), "MUSTER_POSTGRES": self._postgres(), "MUSTER_METRICS_PORT": "0"}
            commands[f"{service}.migrate"] = Command(module(f"muster.{service}.main", "migrate"), env)
        await self._supervisor.run_once(commands)
        self._say("  topics and databases")

    # What the parts are told.

    @property
    def _url(self) -> str:
        return f"http://{HOST}:{self._ports['caddy']}"

    @property
    def _kafka(self) -> str:
        return self._external_kafka or f"{HOST}:{self._ports['kafka']}"

    def _postgres(self, user: str = "", password: str = "", database: str = "") -> str:
        """The address of the server: as the superuser where no user is named, of his database where none is."""
        base = (
            self._external_postgres
            or f"postgresql://postgres:{self._secrets['postgres']}@{HOST}:{self._ports['postgres']}"
        )
        parts = urlsplit(base)
        credentials, _, server = parts.netloc.rpartition("@")
        netloc = f"{user}:{password}@{server}" if user else f"{credentials}@{server}"
        return urlunsplit(parts._replace(netloc=netloc, path=f"/{database or parts.path.strip('/') or 'postgres'}"))

    def _service_env(self, service: str) -> dict[str, str]:
        env = {
            "PYTHONUNBUFFERED": "1",
            "MUSTER_KAFKA_SESSION_TIMEOUT_MS": "3000",  # a killed worker is replaced within seconds; clusters keep 45 s
            "MALLOC_ARENA_MAX": "2",  # glibc gives each thread an arena of its own, which idle processes do not need
            "MUSTER_KAFKA": self._kafka,
            "MUSTER_HTTP_HOST": HOST,
            "MUSTER_BASE_URL": self._url,
            "MUSTER_JWKS_URL": f"http://{HOST}:{self._ports['tenant.api.0.http']}/.well-known/jwks.json",
            "MUSTER_HASH_KEY": self._secrets["hash_key"],
            "MUSTER_BULK_ID_KEY": self._secrets["bulk_id_key"],
            "MUSTER_SMTP": f"{HOST}:{self._ports['mail.smtp']}",
        }
        for role in ("app", "worker"):
            password = self._secrets[f"{service}_{role}"]
            env[f"MUSTER_DATABASE_{role.upper()}"] = self._postgres(f"{service}_{role}", password, service)
        if service == "tenant":
            operator = self._operator()
            env["MUSTER_OPERATOR_CLIENT_ID"] = operator["client_id"]
            env["MUSTER_OPERATOR_CLIENT_SECRET"] = operator["client_secret"]
        if service == "dispatch":
            env |= self._carrier_env()
        return env | self._env

    def _operator(self) -> dict[str, str]:
        return {"client_id": "operator", "client_secret": self._secrets["operator"]}

    def _carrier_account(self) -> dict[str, Any]:
        if self._carrier_given is not None:
            return dict(self._carrier_given)
        # SMPP 3.4 allows a password of 8 characters.
        password = self._secrets.get("carrier", lambda: os.urandom(4).hex())
        account = {"host": HOST, "port": self._ports["carrier.smpp"], "system_id": _SYSTEM_ID, "password": password}
        return {**account, "control_url": f"http://{HOST}:{self._ports['carrier.control']}"}

    def _carrier_env(self) -> dict[str, str]:
        account = self._carrier_account()
        return {f"MUSTER_CARRIER_{key.upper()}": str(account[key]) for key in ("host", "port", "system_id", "password")}

    def _write_run(self) -> None:
        """`run.json`: where everything is and what its process ids are; there from when all of it runs."""
        pids = self._supervisor.pids()
        people = seed.read(self.var)
        self.run.update(
            url=self._url,
            kafka=self._kafka,
            postgres=self._postgres(),
            smtp=f"{HOST}:{self._ports['mail.smtp']}",
            mail_url=f"http://{HOST}:{self._ports['mail.http']}/",
            carrier=self._carrier_account(),
            operator=self._operator(),
            tenants=people["tenants"],
            users=people["users"],
            metrics={
                name: f"http://{HOST}:{self._ports[f'{name}.metrics']}/metrics"
                for name in pids
                if name.split(".")[0] in SERVICES
            },
            processes=pids,
        )
        if self._is_up:
            write_json(self.var / "run.json", self.run)
