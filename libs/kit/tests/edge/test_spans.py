"""Traces: one from the request to what is heard of it, on a real wire; and nothing of a person in them."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from fastapi import APIRouter
from prometheus_client.metrics import MetricWrapperBase
from structlog.testing import capture_logs

from muster.events.v1.bulk_pb2 import BulkSmsRequested
from muster.kit import metrics, observe, spans, trace
from muster.kit.auth import public
from muster.kit.http import create_app
from muster.kit.settings import ProcessSettings
from muster.kit.spans import Kind, Of
from muster.kit.testing import received
from muster.local.collector import Collector, Got, collecting

ROOT = Path(__file__).resolve().parents[4]
TENANT = str(UUID(int=1))
ASKED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
OTHER = "00-0af7651916cd43dd8448eb211c80319d-b7ad6b7169203332-01"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found
        spans.stop()


def record(collector: Collector, **more: float) -> None:
    """From now on all, unless `more` says otherwise."""
    spans.start(ProcessSettings(otlp_url=collector.url, **more), "test")


def taken(collector: Collector) -> dict[str, Got]:
    """All that was recorded, by name; nothing is from then on."""
    spans.stop()
    return {one.name: one for one in collector.spans}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    router = APIRouter()

    @router.get("/numbers/{number}")
    @public
    async def number(number: str) -> dict[str, str]:
        return {"trace": trace.current(), "of": trace.of("one")}

    @router.get("/broken")
    @public
    async def broken() -> None:
        raise ValueError("+61 491 570 006 is broken")

    app = create_app("test", routers=[router], state={})
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as made:
        yield made


async def test_a_request_is_told_its_trace_also_where_nothing_is_recorded(client: httpx.AsyncClient) -> None:
    answer = await client.get("/numbers/1", headers={"traceparent": ASKED})
    assert answer.headers["x-trace-id"] == trace.trace_id(ASKED)
    assert answer.json()["trace"] == ASKED
    made = (await client.get("/numbers/1", headers={"traceparent": "00-0-0-00"})).headers["x-trace-id"]
    assert len(bytes.fromhex(made)) == 16


async def test_a_request_is_a_span_by_its_template_and_names_nobody(
    client: httpx.AsyncClient, collector: Collector
) -> None:
    record(collector)
    answer = await client.get("/numbers/+61491570006", headers={"traceparent": ASKED})
    await client.get("/broken")
    found = taken(collector)
    [asked, broken] = found["GET /numbers/{number}"], found["GET /broken"]
    assert (asked.trace_id, asked.parent, asked.kind) == (*ASKED.split("-")[1:3], Kind.SERVER + 1)
    assert asked.about == {Of.METHOD: "GET", Of.ROUTE: "/numbers/{number}", Of.STATUS: 200}
    assert answer.json()["trace"].split("-") == ["00", asked.trace_id, asked.span_id, "01"]
    assert (broken.failed, broken.parent, broken.about[Of.ERROR]) == (True, "", "500")
    assert "570" not in repr(collector.spans)


async def test_each_fact_of_a_batch_goes_on_in_the_trace_of_its_own_send(collector: Collector) -> None:
    record(collector)
    sends = [BulkSmsRequested(tenant_id=TENANT, bulk_id=str(UUID(int=at))) for at in (2, 3, 4)]
    first, second = trace.marked(ASKED, recorded=True), OTHER
    batch = [
        received(message, traceparent=context, offset=at)
        for at, (message, context) in enumerate(zip(sends, (first, second, ""), strict=True))
    ]
    with spans.hearing("credit", batch):
        told = [trace.trace_id(trace.of(message.bulk_id)) for message in sends]
        assert trace.current() == ""
    assert told == [trace.trace_id(first), trace.trace_id(second), ""]
    with spans.hearing("credit", batch[:1]), spans.span("inner"):
        assert trace.trace_id(trace.current()) == told[0]
    found = taken(collector)
    assert [one.parent for one in collector.spans if one.name == "hear BulkSmsRequested"].count(first[36:52]) == 2
    assert found["inner"].parent in {one.span_id for one in collector.of(told[0])}


async def test_a_batch_of_one_trace_is_one_span_that_is_linked_with_all_who_wait(collector: Collector) -> None:
    record(collector)
    parents = {at: f"{OTHER[:36]}{at:016x}-01" for at in range(1, 501)}

    def fail() -> None:
        with spans.steps("hear", Kind.CONSUMER, parents) as following:
            assert len(set(following.values())) == 1
            raise ZeroDivisionError("by +61 491 570 006")

    with pytest.raises(ZeroDivisionError):
        fail()
    found = taken(collector)["hear"]
    assert (len(collector.spans), len(found.links), found.about[Of.EVENTS]) == (1, 32, 500)
    assert (found.failed, found.about[Of.ERROR]) == (True, "builtins.ZeroDivisionError")


def test_which_traces_are_recorded_is_told_by_their_id_and_not_by_who_asks(collector: Collector) -> None:
    record(collector, trace_ratio=0.5)
    low, high = "0" * 16, "f" * 16
    decided = {
        (half, flag): trace.is_recorded(spans.first(f"00-{'1' * 16}{half}-{'2' * 16}-{flag}", "3" * 48))
        for half in (low, high)
        for flag in ("00", "01")
    }
    assert decided == {(low, "00"): True, (low, "01"): True, (high, "00"): False, (high, "01"): False}
    with spans.span("first", parent=spans.first(None, f"{'a' * 16}{low}{'b' * 16}")):
        pass
    assert taken(collector)["first"].trace_id == "a" * 16 + low


@pytest.mark.parametrize(("spans_max", "status", "reason"), [(1, 200, "queue"), (100, 400, "collector")])
def test_spans_that_are_lost_are_counted_and_nobody_waits(
    collector: Collector, spans_max: int, status: int, reason: str
) -> None:
    collector.status = status
    lost = metrics.spans_dropped.labels(reason)
    before, taken_before = count(lost), count(metrics.spans_exported)
    record(collector, otlp_spans_max=spans_max)
    for _ in range(50):
        with spans.span("step", parent=OTHER):
            pass
    spans.stop()
    assert count(lost) > before
    assert count(lost) - before + count(metrics.spans_exported) - taken_before == 50


def count(metric: MetricWrapperBase) -> float:
    return sum(sample.value for sample in metric.collect()[0].samples)


def test_a_line_of_the_log_names_its_trace() -> None:
    with capture_logs(processors=[observe._add_about]) as lines, trace.follow({"": OTHER}):
        observe.logger("test").info("thing.done")
    assert lines[0]["trace_id"] == trace.trace_id(OTHER)


def test_a_number_is_masked_wherever_it_is_given(collector: Collector) -> None:
    record(collector)
    with spans.span("step", parent=OTHER, about={Of.ACCOUNT: "to +61 491 570 006"}) as step:
        step.happened("then", {Of.STEP: "61491570006"})
    assert taken(collector)["step"].about == {Of.ACCOUNT: "to [number]"}


def test_every_attribute_is_explained() -> None:
    told = (ROOT / "docs" / "traces.md").read_text()
    assert [name for name in Of if f"| `{name}` |" not in told] == []


def test_what_is_no_address_of_a_collector_is_refused() -> None:
    with pytest.raises(ValueError, match="MUSTER_OTLP_URL must be like http://collector:4318"):
        ProcessSettings(otlp_url="collector:4318")
