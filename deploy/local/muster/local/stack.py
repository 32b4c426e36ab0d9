"""The whole product on one machine: `async with Stack(var) as stack`."""

import asyncio
import base64
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

from muster.local import caddy, seed
from muster.local.kafka import Kafka, Quorum, new_cluster_id
from muster.local.postgres import Postgres, check_given
from muster.local.probes import http_ok
from muster.local.process import PAYMENT_TOKEN, Command
from muster.local.programs import module
from muster.local.routes import PAGES, SERVICES
from muster.local.supervisor import Part, Stage, Supervisor
from muster.local.var import Lock, Ports, Secrets, write_json

HOST = "127.0.0.1"
LIMITS = tuple(f"MUSTER_CUSTOMER_{name}_MAX" for name in ("RANGE_HOURLY", "PREFIX_HOURLY", "PLAN_RANGE", "START_DAILY"))
ROLES = dict.fromkeys(SERVICES, ("api", "worker")) | {"dispatch": ("api", "worker", "sender")}
_SYSTEM_ID = "muster"


class Stack:
    """Kafka, PostgreSQL, Caddy, the carrier, the mail catcher and every service, each a process of its own.

    Entering starts all of it (PartError names what did not come up) and writes `run.json`; leaving ends all of it.
    `run` is the content of `run.json`. MUSTER_KAFKA and MUSTER_POSTGRES name servers to use instead of our own;
    `carrier` (with host, port, system_id, password, control_url) one instead of the simulator.
    `env` is added to every service's environment. `senders` is how many carrier accounts can be served at once.
    Use it from the main thread: see `process.spawn`.

    For tests that break it: `kafka_nodes` of Kafka (`kafka.1` and so on where it is more than one), `detour` answers
    through which port a service reaches a server ("kafka", "postgres", "carrier") at a port, `back_off_max_s` is how
    long a part that keeps dying is left dead, and `arm` gives a part another environment when it starts next.
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
        kafka_nodes: int = 1,
        detour: Callable[[str, str, int], int] | None = None,
        back_off_max_s: float = 10.0,
        senders: int = 1,
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
        self._kafka_nodes = kafka_nodes
        self._detour = detour
        self._back_off_max_s = back_off_max_s
        self._senders = senders
        self._armed: dict[str, dict[str, str]] = {}
        self._lock = Lock(var)
        self._external_kafka = os.environ.get("MUSTER_KAFKA")
        self._external_postgres = os.environ.get("MUSTER_POSTGRES")

    async def __aenter__(self) -> Self:
        self._lock.acquire()
        (self.var / "run.json").unlink(missing_ok=True)  # of a run that was killed: nothing in it is true any more
        self._ports, self._secrets = Ports(self.var), Secrets(self.var)
        self.supervisor = Supervisor(
            self.var / "log",
            say=self._say,
            on_change=self._write_run,
            keep_open=(self._lock.fd,),
            back_off_max_s=self._back_off_max_s,
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
        return self.supervisor.pids()[name]

    def kill(self, name: str) -> None:
        """Kill a part with SIGKILL; the supervisor starts it again."""
        os.kill(self.pid(name), signal.SIGKILL)

    async def wait_ready(self, name: str) -> None:
        """Wait until a part serves (again); PartError after its limit."""
        await self.supervisor.wait_ready(name)

    def restarts(self, name: str) -> int:
        """How often a part was started again."""
        return self.supervisor.restarts[name]

    def arm(self, name: str, **env: str) -> None:
        """Give a part these variables too when it starts next, and only then."""
        self._armed[name] = env

    async def add(self, service: str, role: str, number: int) -> str:
        """Start one more process of a service; its name."""
        part = self._service(service, role, number)
        await self.supervisor.start(part)
        return part.name

    async def _start(self) -> None:
        if self._external_postgres:
            await asyncio.to_thread(check_given, self._postgres())
        await self.supervisor.start(*self._stores(), self._mail(), *self._carrier())
        if self._services:
            await self._prepare_stores()
        apis = {service: self._ports[f"{service}.api.0.http"] for service in self._services}
        services = [self._service(service, role) for service in self._services for role in ROLES[service]]
        if "dispatch" in self._services:
            services += [self._service("dispatch", "sender", number) for number in range(1, self._senders)]
        if self._services:
            apis[PAGES] = self._ports[f"{PAGES}.api.1.http"]
            services.append(self._console())
        await self.supervisor.start(*services, self._caddy(apis))
        if self._with_tenant:
            await seed.ensure_people(self.run, self.var, self._secrets)
        self._is_up = True
        self._write_run()

    async def _stop(self) -> None:
        await self.supervisor.stop()
        (self.var / "run.json").unlink(missing_ok=True)
        self._ports.close()
        self._lock.release()

    # The parts.

    def _stores(self) -> list[Part]:
        parts = [] if self._external_kafka else [self._node(node) for node in range(1, self._kafka_nodes + 1)]
        if not self._external_postgres:
            postgres = Postgres(
                self.var / "postgres",
                port=self._ports["postgres"],
                password=self._secrets["postgres"],
                log=self.supervisor.log("postgres"),
            )
            parts.append(Part("postgres", postgres.command, postgres.why_not_ready, Stage.STORE, 60, postgres.prepare))
        return parts

    def _node(self, node: int) -> Part:
        names = _kafka_names(self._kafka_nodes)
        name = names[node - 1]
        quorum = None
        if len(names) > 1:
            cluster = self._secrets.get("kafka.cluster", new_cluster_id)
            quorum = Quorum(node, tuple(self._ports[f"{one}.controller"] for one in names), cluster)
        doors = {service.upper(): self._ports[f"{name}.{service}"] for service in self._services if self._detour}
        kafka = Kafka(
            self.var / name,
            port=self._ports[name],
            controller_port=self._ports[f"{name}.controller"],
            log=self.supervisor.log(name),
            quorum=quorum,
            doors={door: (port, self._through(door.lower(), name, port)) for door, port in doors.items()},
        )
        return Part(name, kafka.command, kafka.why_not_ready, Stage.STORE, 120, kafka.prepare)

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
        return Part("caddy", lambda: command, http_ok(port, "/robots.txt"), Stage.EDGE)

    def _service(self, service: str, role: str, number: int = 0) -> Part:
        name = f"{service}.{role}.{number}"
        metrics = self._ports[f"{name}.metrics"]
        env = {**self._service_env(service), "MUSTER_METRICS_PORT": str(metrics)}
        if role == "api":
            env["MUSTER_HTTP_PORT"] = str(self._ports[f"{name}.http"])
        argv = module(f"muster.{service}.main", role)
        return Part(name, lambda: Command(argv, env | self._armed.pop(name, {})), http_ok(metrics, "/health/ready"))

    def _console(self) -> Part:
        """The pages, which know no more than where the API is."""
        name = f"{PAGES}.api.1"
        metrics = self._ports[f"{name}.metrics"]
        env = {
            "PYTHONUNBUFFERED": "1",
            "MALLOC_ARENA_MAX": "2",
            "MUSTER_BASE_URL": self._url,
            "MUSTER_HTTP_HOST": HOST,
            "MUSTER_HTTP_PORT": str(self._ports[f"{name}.http"]),
            "MUSTER_METRICS_PORT": str(metrics),
            **self._env,
        }
        argv = module(f"muster.{PAGES}.main", "api")
        return Part(name, lambda: Command(argv, env | self._armed.pop(name, {})), http_ok(metrics, "/health/ready"))

    async def _prepare_stores(self) -> None:
        registry = str(files("muster.events") / "topics.yaml")
        size = "--fitting" if self._external_kafka else "--laptop"
        words = (registry, size, *(("--replicas", str(self._kafka_nodes)) if self._kafka_nodes > 1 else ()))
        commands = {"topics": Command(module("muster.kit.topics", *words), {"MUSTER_KAFKA": self._kafka})}
        for service in self._services:
            env = {**self._service_env(service), "MUSTER_POSTGRES": self._postgres(), "MUSTER_METRICS_PORT": "0"}
            commands[f"{service}.migrate"] = Command(module(f"muster.{service}.main", "migrate"), env)
        await self.supervisor.run_once(commands)
        self._say("  topics and databases")

    # What the parts are told.

    @property
    def _url(self) -> str:
        return f"http://{HOST}:{self._ports['caddy']}"

    @property
    def _kafka(self) -> str:
        names = _kafka_names(self._kafka_nodes)
        return self._external_kafka or ",".join(f"{HOST}:{self._ports[name]}" for name in names)

    def _through(self, service: str, server: str, port: int) -> int:
        """The port by which a service reaches a server: its own, where nothing stands between."""
        return self._detour(service, server, port) if self._detour else port

    def _kafka_for(self, service: str) -> str:
        if self._external_kafka or self._detour is None:
            return self._kafka
        doors = [(name, self._ports[f"{name}.{service}"]) for name in _kafka_names(self._kafka_nodes)]
        return ",".join(f"{HOST}:{self._through(service, name, port)}" for name, port in doors)

    def _database(self, service: str, role: str) -> str:
        """The address of a service's database, for one of its roles."""
        dsn = self._postgres(f"{service}_{role}", self._secrets[f"{service}_{role}"], service)
        if self._external_postgres:
            return dsn
        port = self._ports["postgres"]
        return dsn.replace(f"@{HOST}:{port}/", f"@{HOST}:{self._through(service, 'postgres', port)}/")

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
            "MUSTER_KAFKA": self._kafka_for(service),
            "MUSTER_HTTP_HOST": HOST,
            "MUSTER_BASE_URL": self._url,
            "MUSTER_JWKS_URL": f"http://{HOST}:{self._ports['tenant.api.0.http']}/.well-known/jwks.json",
            "MUSTER_HASH_KEY": self._secrets["hash_key"],
            "MUSTER_BULK_ID_KEY": self._secrets["bulk_id_key"],
            "MUSTER_SMTP": f"{HOST}:{self._ports['mail.smtp']}",
        }
        for role in ("app", "worker"):
            env[f"MUSTER_DATABASE_{role.upper()}"] = self._database(service, role)
        if service == "tenant":
            operator = self._operator()
            env["MUSTER_OPERATOR_CLIENT_ID"] = operator["client_id"]
            env["MUSTER_OPERATOR_CLIENT_SECRET"] = operator["client_secret"]
            env["MUSTER_OPERATORS"] = "{client_id}:{client_secret}".format(**self._second_operator())
        if service == "credit":
            env["MUSTER_CREDIT_WEBHOOK_SECRETS"] = self._webhook_secret()
            env |= {name: os.environ[name] for name in (PAYMENT_TOKEN,) if name in os.environ}
        if service == "customer":
            # Here numbers are made up in rows and nobody is old: what guards a platform would refuse most of it.
            env |= {name: os.environ.get(name, "0") for name in LIMITS}
        if service == "dispatch":
            env |= self._carrier_env()
            # Carriers to try with are on this machine; elsewhere a carrier may be in public alone, or where it is said.
            env["MUSTER_CARRIER_NETWORKS"] = "127.0.0.0/8 ::1/128"
        return env | self._env

    def _operator(self) -> dict[str, str]:
        return {"client_id": "operator", "client_secret": self._secrets["operator"]}

    def _webhook_secret(self) -> str:
        """What whoever plays the payment provider signs with."""
        return "whsec_" + base64.b64encode(bytes.fromhex(self._secrets["payment_webhook"])).decode()

    def _second_operator(self) -> dict[str, str]:
        """Another person: who confirms what one alone may not grant."""
        return {"client_id": "second-operator", "client_secret": self._secrets["second_operator"]}

    def _carrier_account(self) -> dict[str, Any]:
        if self._carrier_given is not None:
            return dict(self._carrier_given)
        # SMPP 3.4 allows a password of 8 characters.
        password = self._secrets.get("carrier", lambda: os.urandom(4).hex())
        account = {"host": HOST, "port": self._ports["carrier.smpp"], "system_id": _SYSTEM_ID, "password": password}
        return {**account, "control_url": f"http://{HOST}:{self._ports['carrier.control']}"}

    def _carrier_env(self) -> dict[str, str]:
        account = self._carrier_account()
        if self._carrier_given is None:
            account["port"] = self._through("dispatch", "carrier", account["port"])
        return {f"MUSTER_CARRIER_{key.upper()}": str(account[key]) for key in ("host", "port", "system_id", "password")}

    def _write_run(self) -> None:
        """`run.json`: where everything is and what its process ids are; there from when all of it runs."""
        pids = self.supervisor.pids()
        people = seed.read(self.var)
        self.run.update(
            url=self._url,
            kafka=self._kafka,
            postgres=self._postgres(),
            smtp=f"{HOST}:{self._ports['mail.smtp']}",
            mail_url=f"http://{HOST}:{self._ports['mail.http']}/",
            carrier=self._carrier_account(),
            operator=self._operator(),
            second_operator=self._second_operator(),
            payment_webhook_secret=self._webhook_secret(),
            tenants=people["tenants"],
            users=people["users"],
            metrics={
                name: f"http://{HOST}:{self._ports[f'{name}.metrics']}/metrics"
                for name in pids
                if name.split(".")[0] in (*SERVICES, PAGES)
            },
            processes=pids,
        )
        if self._is_up:
            write_json(self.var / "run.json", self.run)


def _kafka_names(nodes: int) -> list[str]:
    return ["kafka"] if nodes == 1 else [f"kafka.{node}" for node in range(1, nodes + 1)]
