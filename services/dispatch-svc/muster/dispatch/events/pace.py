"""BulkSmsPaced: how a send goes on."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from muster.dispatch.domain.pace import Course, Ended, Work, why_none
from muster.events import key_of_bulk
from muster.events.v1 import bulk_pb2
from muster.kit.outbox import Fact


def paced(tenant_id: UUID, bulk_id: UUID, course: Course, finish_s: float | None, work: Work) -> Fact:
    """BulkSmsPaced of a send that is being sent."""
    finish = 0 if finish_s is None else _ms(course.said + finish_s)
    return _paced(
        tenant_id,
        bulk_id,
        course,
        course.said,
        finish_unix_ms=finish,
        credits_reserved=work.reserved,
        why=why_none(course, finish_s, limited=work.limited),
    )


def pace_ended(tenant_id: UUID, bulk_id: UUID, course: Course, end: Ended, now: float) -> Fact:
    """BulkSmsPaced of one that is not any more."""
    at = replace(course, control_version=end.control_version, parts_per_second=0.0)
    if end.why:
        void = replace(at, promised=None, promised_finish=None)
        return _paced(tenant_id, bulk_id, void, now, credits_reserved=end.reserved, why=end.why)
    finished = _ms(now if end.last is None else end.last)
    at = replace(at, parts_left=0)
    return _paced(tenant_id, bulk_id, at, now, finished_unix_ms=finished, credits_reserved=end.reserved)


def _paced(tenant_id: UUID, bulk_id: UUID, course: Course, now: float, **members: Any) -> Fact:
    return Fact(
        bulk_pb2.BulkSmsPaced(
            tenant_id=str(tenant_id),
            bulk_id=str(bulk_id),
            version=_ms(now),
            control_version=course.control_version,
            at_unix_ms=_ms(now),
            parts_left=course.parts_left,
            parts_per_second=round(course.parts_per_second, 3),
            promised_finish_unix_ms=_ms(course.promised_finish or 0),
            promised_at_unix_ms=_ms(course.promised or 0),
            **members,
        ),
        key=key_of_bulk(bulk_id),
        correlation=str(bulk_id),
    )


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
