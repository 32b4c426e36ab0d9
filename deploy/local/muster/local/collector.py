"""A collector of traces for tests: what processes give it by OTLP over HTTP, as it came over the wire."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

_TAKEN: Final = 200


@dataclass(frozen=True, slots=True)
class Got:
    """A span as it arrived. parent: "" of the first of its trace; links: trace and span ids."""

    service: str
    name: str
    kind: int
    trace_id: str
    span_id: str
    parent: str
    links: tuple[tuple[str, str], ...]
    about: dict[str, str | int]
    events: tuple[str, ...]
    failed: bool


@dataclass(slots=True)
class Collector:
    """What has arrived. `status`: how it answers."""

    url: str = ""
    status: int = 200
    spans: list[Got] = field(default_factory=list)

    def of(self, trace_id: str) -> list[Got]:
        """The spans of one trace."""
        return [one for one in list(self.spans) if one.trace_id == trace_id]

    def take(self, body: bytes) -> None:
        """One request of an exporter."""
        for of_process in ExportTraceServiceRequest.FromString(body).resource_spans:
            who = {one.key: one.value.string_value for one in of_process.resource.attributes}
            for scope in of_process.scope_spans:
                self.spans += [_got(who["service.name"], span) for span in scope.spans]


def _got(service: str, one: Span) -> Got:
    return Got(
        service=service,
        name=one.name,
        kind=one.kind,
        trace_id=one.trace_id.hex(),
        span_id=one.span_id.hex(),
        parent=one.parent_span_id.hex(),
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in one.links),
        about={at.key: at.value.string_value or at.value.int_value for at in one.attributes},
        events=tuple(event.name for event in one.events),
        failed=one.status.code == Status.STATUS_CODE_ERROR,
    )


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a free port of this machine."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if collector.status == _TAKEN:
                collector.take(gzip.decompress(body) if self.headers["content-encoding"] == "gzip" else body)
            self.send_response(collector.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """It has nothing to say."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.url = f"http://127.0.0.1:{server.server_address[1]}/v1/traces"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
