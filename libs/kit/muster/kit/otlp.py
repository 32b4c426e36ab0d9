"""How spans reach a collector: in batches, from a thread of their own, by OTLP over HTTP. Imported where that is on."""

from collections.abc import Sequence
from threading import Lock
from typing import Final

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from muster.kit import metrics
from muster.kit.settings import ProcessSettings

_EVERY_MS: Final = 1_000
_BATCH_SPANS: Final = 512
STOP_MS_MAX: Final = 3_000


class Ids(RandomIdGenerator):
    """Random ids, but for a trace that has its id before its first span: of that a log line may have told already."""

    trace_id = 0

    def generate_trace_id(self) -> int:
        """The next trace's."""
        given, self.trace_id = self.trace_id, 0
        return given or super().generate_trace_id()


class _Counted(SpanExporter):
    """Counts what a collector took, and what it did not."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner
        for reason in ("collector", "queue"):
            metrics.spans_dropped.labels(reason)  # from 0 on, so that an alert sees the first

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._inner.export(spans)
        if result is SpanExportResult.SUCCESS:
            metrics.spans_exported.inc(len(spans))
        else:
            metrics.spans_dropped.labels("collector").inc(len(spans))
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()


class _Bounded(BatchSpanProcessor):
    """Counts what finds the queue full, and drops just that: a queue that drops by itself may have had room again."""

    def __init__(self, exporter: SpanExporter, spans_max: int) -> None:
        batch = min(_BATCH_SPANS, spans_max)
        super().__init__(exporter, spans_max, schedule_delay_millis=_EVERY_MS, max_export_batch_size=batch)
        self._spans_max = spans_max
        self._adding = Lock()

    def on_end(self, span: ReadableSpan) -> None:
        with self._adding:  # whoever takes spans away meanwhile makes room only
            if len(self._batch_processor._queue) < self._spans_max:
                super().on_end(span)
                return
        metrics.spans_dropped.labels("queue").inc()

    def shutdown(self) -> None:
        self._batch_processor.shutdown(STOP_MS_MAX)


def processor(settings: ProcessSettings) -> BatchSpanProcessor:
    """What takes ended spans: a queue of at most `otlp_spans_max`, given away each second within `otlp_timeout_s`."""
    exporter = OTLPSpanExporter(
        endpoint=settings.otlp_url, timeout=settings.otlp_timeout_s, compression=Compression.Gzip, headers={}
    )
    return _Bounded(_Counted(exporter), settings.otlp_spans_max)
