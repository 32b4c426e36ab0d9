"""Structured logs: one JSON object a line on standard error, numbers masked, never a text or a secret.

    log = observe.logger(__name__)
    log.info("bulk.stopped", bulk_id=bulk_id)

The event is a constant with dots; ids and counts go into fields. Standard logging (uvicorn, aiokafka, asyncio) takes
the same road.
"""

import logging
import re
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar
from typing import Any, TextIO, cast

import structlog

from muster.kit import clock, trace

_UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
# International with separators; national with a leading zero and separators; any run of eight digits or more.
_NUMBER = re.compile(rf"({_UUID})|\+\d(?:[ ().-]{{0,2}}\d){{5,}}|(?<![\d.])0\d(?:[ ()-]{{0,2}}\d){{6,}}|\d{{8,}}")
_MASK = "[number]"
_MASKED_INT_MIN = 10_000_000  # eight digits: an E.164 number travels as an integer too
_PLAIN_INTEGERS = ("offset", "_ms", "_us", "_bytes", "_ns")
_FRAMES_MAX = 25
_MESSAGE_CHARS_MAX = 300
# Their messages quote what was given to them: rows, numbers, texts.
_QUOTING_MODULES = ("asyncpg", "pydantic", "pydantic_core", "fastapi", "json", "google")
_LOUD_LOGGERS = ("aiokafka", "asyncio", "uvicorn")
# While the broker is away each client says so twenty times a second, and each exporter that the collector is.
_REPETITIVE_LOGGERS = ("aiokafka", "opentelemetry")
_REPEATED_S = 10.0
_REPEATED_KINDS_MAX = 1_000

_service = "muster"
# One mapping, set whole: structlog's own context, a variable for each field, costs a request more than its body does.
_about: ContextVar[Mapping[str, str]] = ContextVar("muster_about", default={})  # noqa: B039 - is never changed


def service() -> str:
    """The name of the service that this process belongs to ("credit"); "muster" before it was configured."""
    return _service


def name_service(name: str) -> None:
    """Say which service this process is."""
    global _service
    _service = name


def logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """The logger of a module: `log = observe.logger(__name__)`."""
    return cast(structlog.typing.FilteringBoundLogger, structlog.get_logger(module=name))


def about(**fields: str) -> None:
    """What every line of this task, and of those that it starts, says besides; in place of what was said before."""
    _about.set(fields)


def about_also(**fields: str) -> None:
    """The same, besides what is said already."""
    _about.set({**_about.get(), **fields})


def configure(level: str = "info", stream: TextIO | None = None) -> None:
    """Send structlog and standard logging to `stream`, standard error by default, as JSON. Once, by process.run."""
    number = logging.getLevelNamesMapping()[level.upper()]
    render(number, stream or sys.stderr)
    logging.basicConfig(level=number, handlers=[_Bridge()], force=True)
    logging.captureWarnings(capture=True)
    for name in _LOUD_LOGGERS:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))


def render(level: int, stream: TextIO) -> None:
    """Let structlog alone write as in production, from this level of standard logging's."""
    structlog.configure(
        processors=[
            _add_about,
            structlog.processors.add_log_level,
            _add_service,
            _add_exception,
            mask,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.JSONRenderer(default=str, ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )


def mask(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The processor that masks every telephone number in every value, however deep."""
    for key, value in event.items():
        if not (isinstance(value, int) and key.endswith(_PLAIN_INTEGERS)):
            event[key] = _masked(value)
    return event


def mask_text(text: str) -> str:
    """`text` with what looks like a telephone number replaced; UUIDs stay."""
    return _NUMBER.sub(lambda match: match.group(1) or _MASK, text)


def _masked(value: Any) -> Any:
    if isinstance(value, bool | float) or value is None:
        return value
    if isinstance(value, int):
        return _MASK if abs(value) >= _MASKED_INT_MIN else value
    if isinstance(value, Mapping):
        return {mask_text(str(key)): _masked(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(item) for item in value]
    return mask_text(str(value))


def _add_about(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    found = trace.trace_id(trace.current())
    return {**_about.get(), **({"trace_id": found} if found else {}), **event}


def _add_service(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["service"] = _service
    return event


def _add_exception(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    info = event.pop("exc_info", None)
    error = sys.exception() if info is True else info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["exception"] = describe(error)
    return event


def describe(error: BaseException) -> list[str]:
    """The error, its causes and their frames, without values that a library quotes in its message."""
    lines: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(lines) < 4 * _FRAMES_MAX:
        lines.append(_head(seen))
        frames = traceback.extract_tb(seen.__traceback__)[-_FRAMES_MAX:]
        lines.extend(f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames)
        if isinstance(seen, BaseExceptionGroup):
            lines.extend(f"  | {line}" for inner in seen.exceptions[:5] for line in describe(inner))
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return lines


def kind_of(error: BaseException) -> str:
    """Which error it is, with the names that a database gives, and nothing of what it says."""
    kind = type(error)
    names = ("sqlstate", "constraint_name", "table_name")
    known = [f"{name}={value}" for name in names if (value := getattr(error, name, None))]
    return " ".join([f"{kind.__module__}.{kind.__qualname__}", *known])


def _head(error: BaseException) -> str:
    if type(error).__module__.split(".")[0] in _QUOTING_MODULES:
        return kind_of(error)
    return f"{type(error).__module__}.{type(error).__qualname__}: {str(error)[:_MESSAGE_CHARS_MAX]}"


class _Bridge(logging.Handler):
    """Standard logging's records through structlog's processors."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        repeated = self._repeated(record)
        if repeated is not None:
            told = {"repeated": repeated} if repeated else {}
            logger(record.name).log(record.levelno, record.getMessage(), exc_info=record.exc_info, **told)

    def _repeated(self, record: logging.LogRecord) -> int | None:
        """How often this was said since it was last written; None where it was written a moment ago."""
        if not record.name.startswith(_REPETITIVE_LOGGERS):
            return 0
        kind, now = (record.name, str(record.msg)), clock.monotonic()
        written_at, repeated = self._said.get(kind, (-_REPEATED_S, 0))
        if now - written_at < _REPEATED_S:
            self._said[kind] = (written_at, repeated + 1)
            return None
        if len(self._said) >= _REPEATED_KINDS_MAX:
            self._said.clear()
        self._said[kind] = (now, 0)
        return repeated
