"""Spans: the steps of a trace, given to a collector by OTLP over HTTP. Off, at no cost, until MUSTER_OTLP_URL is set.

    with spans.span("plan", parent=bulk["traceparent"], about={Of.STEP: plan.step}):
        ...

What is recorded is decided once, at the request that begins a trace, by its id alone. Steps are per request, event or
chunk, never per SMS. Nothing waits for a collector: what it does not take in time is dropped and counted.
"""

import os
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeVar

from muster.kit import observe, trace
from muster.kit.settings import ProcessSettings

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

    from muster.kit.consumer.received import Received

_LINKS_MAX: Final = 32
_HALF: Final = 1 << 64
_NOWHERE: Final = "0" * 16

K = TypeVar("K", bound=Hashable)


class Of(StrEnum):
    """Every attribute that a span may have: ids, codes and counts. No number, name, text or address of a person."""

    METHOD = "http.request.method"
    ROUTE = "http.route"
    STATUS = "http.response.status_code"
    TOPIC = "messaging.destination.name"
    GROUP = "messaging.consumer.group.name"
    EVENTS = "messaging.batch.message_count"
    EVENT = "muster.event"
    BULK = "muster.bulk_id"
    CHUNK = "muster.chunk"
    ATTEMPT = "muster.attempt"
    ACCOUNT = "muster.account"
    PARTS = "muster.parts"
    STEP = "muster.step"
    BEFORE = "muster.state_before"
    AFTER = "muster.state"
    ERROR = "error.type"


class Kind(IntEnum):
    """Whose side of a call a step is; as OpenTelemetry counts them."""

    INTERNAL = 0
    SERVER = 1
    CLIENT = 2
    PRODUCER = 3
    CONSUMER = 4


About = Mapping[Of, str | int]
_NOTHING: Final[About] = {}


class Span:
    """A step. `traceparent`: the context of what follows from it; that of its parent where nothing is recorded."""

    __slots__ = ("_recorded", "traceparent")

    def __init__(self, traceparent: str, recorded: Any = None) -> None:
        self.traceparent = traceparent
        self._recorded = recorded

    def name(self, name: str) -> None:
        """Call it something else, now that more is known."""
        if self._recorded is not None:
            self._recorded.update_name(name)

    def note(self, about: About) -> None:
        """Say more about it."""
        if self._recorded is not None:
            self._recorded.set_attributes(_plain(about))

    def happened(self, what: str, about: About = _NOTHING) -> None:
        """Something worth its time happened on the way."""
        if self._recorded is not None:
            self._recorded.add_event(what, _plain(about))

    def end(self, error: BaseException | str | None = None) -> None:
        """It is over. Of an error its kind alone is told: what it says may quote what was given to it."""
        if self._recorded is None:
            return
        if error is not None:
            from opentelemetry.trace import StatusCode

            kind = error if isinstance(error, str) else observe.kind_of(error)
            self._recorded.set_attribute(Of.ERROR.value, kind)
            self._recorded.set_status(StatusCode.ERROR)
        self._recorded.end()
        self._recorded = None


class _Recorder:
    """What makes spans and gives them away."""

    def __init__(self, settings: ProcessSettings, command: str) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.sampling import ALWAYS_ON

        from muster.kit.otlp import Ids, processor

        who = {"service.namespace": "muster", "service.name": observe.service(), "muster.process": command}
        self._ids = Ids()
        # Who calls it has decided already. Its own handler at the interpreter's exit would wait for a collector.
        self._provider = TracerProvider(ALWAYS_ON, Resource(who), shutdown_on_exit=False, id_generator=self._ids)
        self._provider.add_span_processor(processor(settings))
        self._tracer = self._provider.get_tracer("muster")
        self._bound = round(settings.trace_ratio * _HALF)

    def wants(self, trace_id: str) -> bool:
        """Whether a trace is one of those recorded: all services come to the same answer."""
        return int(trace_id[16:], 16) < self._bound

    def begin(self, name: str, kind: Kind, parent: str, about: About, links: Sequence[str], at_ns: int | None) -> Span:
        from opentelemetry.context import Context
        from opentelemetry.trace import Link, NonRecordingSpan, SpanKind, set_span_in_context

        above = Context()
        if parent[36:52] == _NOWHERE:
            self._ids.trace_id = int(parent[3:35], 16)
        else:
            above = set_span_in_context(NonRecordingSpan(_context(parent)), above)
        linked = [Link(_context(one)) for one in links[:_LINKS_MAX] if trace.valid(one)]
        recorded = self._tracer.start_span(name, above, SpanKind(kind.value), _plain(about), linked, at_ns)
        made = recorded.get_span_context()
        return Span(f"00-{made.trace_id:032x}-{made.span_id:016x}-01", recorded)

    def stop(self) -> None:
        self._provider.shutdown()


_recorder: _Recorder | None = None


def start(settings: ProcessSettings, command: str = "") -> None:
    """Record from now on, where the settings name a collector."""
    global _recorder
    _recorder = _Recorder(settings, command) if settings.otlp_url else None


def stop() -> None:
    """Give away what is left, within seconds; blocks."""
    global _recorder
    recorder, _recorder = _recorder, None
    if recorder is not None:
        recorder.stop()


def first(given: str | None, noise: str) -> str:
    """The context of a request: the caller's, or a new one of 48 hexadecimal digits of `noise`.

    Whether it is recorded is ours to say: a caller who asked for each of its requests could ask for too much.
    """
    parent = trace.valid(given)
    if _recorder is None or not _recorder.wants(trace.trace_id(parent) or noise[:32]):
        return trace.marked(parent or f"00-{noise[:32]}-{noise[32:48]}-00", recorded=False)
    return trace.marked(parent or f"00-{noise[:32]}-{_NOWHERE}-01", recorded=True)


def new() -> str:
    """The context of what nobody has asked for just now, and which begins a trace."""
    return first(None, os.urandom(24).hex())


def begin(
    name: str,
    kind: Kind = Kind.INTERNAL,
    *,
    parent: str,
    about: About = _NOTHING,
    links: Sequence[str] = (),
    at_ms: int | None = None,
) -> Span:
    """A step that somebody ends by `Span.end`. at_ms: when it began, since 1970, where that is not now."""
    if _recorder is None or not (trace.is_recorded(parent) or parent.endswith(f"{_NOWHERE}-01")):
        return Span(parent)
    return _recorder.begin(name, kind, parent, about, links, None if at_ms is None else at_ms * 1_000_000)


@contextmanager
def span(
    name: str,
    kind: Kind = Kind.INTERNAL,
    *,
    parent: str | None = None,
    about: About = _NOTHING,
    links: Sequence[str] = (),
) -> Iterator[Span]:
    """A step of this task, of its own trace unless `parent` says another; what it does follows from it."""
    step = begin(name, kind, parent=trace.current() if parent is None else parent, about=about, links=links)
    with ending((step,)), trace.follow({"": step.traceparent}):
        yield step


@contextmanager
def steps(
    name: str, kind: Kind, parents: Mapping[K, str], about: About = _NOTHING, began_ms: int | None = None
) -> Iterator[Mapping[K, str]]:
    """Work that is done for several at once: a step in each of their traces, that is linked with all who wait there.
    The contexts of what follows."""
    following = dict(parents)
    by_trace: dict[str, list[K]] = {}
    if _recorder is not None:
        for key, parent in parents.items():
            if trace.is_recorded(parent):
                by_trace.setdefault(trace.trace_id(parent), []).append(key)
    made = []
    for keys in by_trace.values():
        heads = list(dict.fromkeys(parents[key] for key in keys))
        counted = {**about, Of.EVENTS: len(keys)}
        step = begin(name, kind, parent=heads[0], about=counted, links=heads[1:], at_ms=began_ms)
        made.append(step)
        following.update(dict.fromkeys(keys, step.traceparent))
    with ending(made):
        yield following


@contextmanager
def hearing(group: str, events: "Sequence[Received[Any]]") -> Iterator[None]:
    """A consumer applies these events, all of one type: what it says about a send belongs to the trace in which it
    heard of that send, and what it says about none to that of all, where they have but one."""
    parents = {event.offset: event.traceparent for event in events}
    about: About = {Of.GROUP: group, Of.TOPIC: events[0].topic, Of.EVENT: type(events[0].message).__name__}
    with steps(f"hear {about[Of.EVENT]}", Kind.CONSUMER, parents, about) as following:
        contexts = {event.correlation: following[event.offset] for event in events if event.correlation}
        traces = {trace.trace_id(one) for one in following.values()}
        contexts[""] = following[events[0].offset] if len(traces) == 1 else ""
        with trace.follow(contexts):
            yield


@contextmanager
def ending(made: Sequence[Span]) -> Iterator[None]:
    """These steps end with what is done in here, or fail with it."""
    error: BaseException | None = None
    try:
        yield
    except BaseException as raised:
        error = raised
        raise
    finally:
        for step in made:
            step.end(error)


def _plain(about: About) -> dict[str, str | int]:
    """Telephone numbers stay out, whatever was given."""
    return {name.value: value if isinstance(value, int) else observe.mask_text(value) for name, value in about.items()}


def _context(traceparent: str) -> "SpanContext":
    from opentelemetry.trace import SpanContext, TraceFlags

    trace_id, span_id = int(traceparent[3:35], 16), int(traceparent[36:52], 16)
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
