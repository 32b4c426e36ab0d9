"""What a send asks of its customers and excludes, as fragments of the statement that judges them (store/audience.py).

A send that has none of it is judged by the statement as it is, at the cost that it has.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from muster.customer.domain.audience import Audience, Cap, Reason, Seen, window_start
from muster.customer.domain.query import Condition, Field, Node, Op, Type, lists_in
from muster.customer.store import messaged
from muster.customer.store.audience_asked import ASKED, CAME_LATER, ON_LIST_THEN, WERE
from muster.customer.store.messaged import Window
from muster.customer.store.query import condition_of
from muster.kit.pg import Record, Tx


@dataclass(frozen=True, slots=True)
class Understood:
    """An audience whose names were found and whose queries were read, as of a moment. saved_query is pinned.

    wanted: every query of it; unwanted: the excluded one. caps: its own, then the business's.
    """

    audience: Audience
    at: datetime
    time_zone: ZoneInfo
    wanted: Sequence[Node] = ()
    unwanted: Node | None = None
    caps: tuple[Cap | None, Cap | None] = (None, None)


@dataclass(frozen=True, slots=True)
class RulesSql:
    """Fragments for a statement whose arguments end with those that `fragments` gives."""

    asked: Understood | None = None
    sends: Sequence[Record] = ()

    def fragments(self, first: int, *, facts: bool = False) -> tuple[dict[str, str], list[Any]]:
        """The fragments and their arguments, the first of which is number `first`. facts: with the figure that each
        exclusion goes by, who is texted at a number that others share, and who did not fit when it was quoted."""
        made = _Fragments(first, facts)
        if self.asked is not None:
            made.include(self.asked)
            made.exclude(self.asked)
            recent, caps = messaged.reachable(self.sends, *_windows(self.asked))
            if recent is not None or any(caps):
                made.messaged(self.sends, recent, caps)
        if facts:
            made.keep_facts()
            if self.asked is not None:
                made.leave_out_who_came_later(self.asked)
        return made.fragments, made.arguments


NO_RULES: Final = RulesSql()


async def rules_of(tx: Tx, tenant_id: UUID, asked: Understood, *, freeze: bool = False) -> RulesSql:
    """The rules of an audience, with the sends that its exclusions look at. freeze: others that look at them wait."""
    recent, caps = _windows(asked)
    if recent is None and not any(caps):
        return RulesSql(asked)
    if freeze:
        await messaged.take_turns(tx, tenant_id)
    since = min([window.since for window in caps if window] + ([recent] if recent else []))
    return RulesSql(asked, await messaged.sends_since(tx, tenant_id, since))


def _windows(asked: Understood) -> tuple[datetime | None, list[Window | None]]:
    """Since when a message leaves one out, and the caps, each in its place."""
    days = asked.audience.exclude.messaged_in_days
    recent = None if days is None else window_start(asked.at, days, asked.time_zone)
    return recent, [
        Window(cap.messages, window_start(asked.at, cap.days, asked.time_zone)) if cap else None for cap in asked.caps
    ]


_LISTS: Final = (
    "c.customer_id IN (SELECT l.customer_id FROM customer_list_member l"
    " WHERE l.tenant_id = $1 AND l.list_id = ANY({lists}){then})"
)
_EXCLUDED_LISTS: Final = """
        LEFT JOIN (SELECT l.customer_id, min(array_position({lists}, l.list_id)) AS place FROM customer_list_member l
                   WHERE l.tenant_id = $1 AND l.list_id = ANY({lists}) GROUP BY 1) xl USING (customer_id)"""
_TAG_PLACE: Final = "(SELECT min(array_position({tags}, t.tag)) FROM unnest(c.tags) AS t (tag))"
_SEEN_ON: Final = "CASE WHEN {value} ~ '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}$' THEN replace({value}, '-', '')::bigint END"
FIRST: Final = (
    "first_value(customer_id) OVER (PARTITION BY number, reason ORDER BY customer_id ROWS UNBOUNDED PRECEDING)"
)
"""Of those who share a number and may be texted, the one who is: the others are told who that is."""
# Of counts alone as arrays, which are made once: nothing that reads a WITH query is done by several processes.
_MESSAGED: Final = """ LEFT JOIN (
        SELECT number, true AS recent, false AS capped
        FROM unnest((SELECT array_agg(number) FROM messaged WHERE recent)) AS r (number)
        UNION ALL SELECT number, false, true
        FROM unnest((SELECT array_agg(number) FROM messaged WHERE NOT recent)) AS s (number)
    ) x ON x.number = m.number"""
_MESSAGED_FACTS: Final = " LEFT JOIN messaged x ON x.number = m.number"
_CASE: Final = "CASE {cases} END"
_KEPT_FACT: Final = f", CASE reason WHEN 0 THEN {FIRST} ELSE fact END AS fact"
_NAMES: Final = (
    *("rules", "listed", "messaged", "messaged_few", "ruling", "ruled_out", "rules_join", "fact", "came_later"),
)


class _Fragments:
    def __init__(self, first: int, facts: bool) -> None:  # noqa: FBT001
        self._first = first
        self._facts = facts
        self._ruling: list[str] = []
        self.arguments: list[Any] = []
        self.fragments = dict.fromkeys(_NAMES, "")

    def _value(self, value: Any, sql_type: str) -> str:
        self.arguments.append(value)
        return f"${self._first + len(self.arguments) - 1}::{sql_type}"

    def _condition(self, node: Node, time_zone: ZoneInfo, then: str = "") -> str:
        made = condition_of(node, self._first + len(self.arguments), time_zone=time_zone, then=then)
        self.arguments += made.arguments
        return made.text

    def include(self, asked: Understood) -> None:
        """Who is asked for at all."""
        self.fragments["rules"] = self._wanted(asked)

    def _wanted(self, asked: Understood, then: str = "") -> str:
        wanted = []
        if asked.audience.lists:
            lists = self._value(list(asked.audience.lists), "uuid[]")
            wanted.append(_LISTS.format(lists=lists, then=then.format(member="l")))
        if asked.audience.tags:
            wanted.append(f"c.tags && {self._value(list(asked.audience.tags), 'text[]')}")
        wanted += [self._condition(node, asked.time_zone, then) for node in asked.wanted]
        return "".join(f" AND {one}" for one in wanted)

    def leave_out_who_came_later(self, asked: Understood) -> None:
        """Who fits now and did not when it was quoted: as they were then, on the lists that they were on then."""
        audience, exclude, then = asked.audience, asked.audience.exclude, f" AND {ON_LIST_THEN}"
        lists = bool(audience.lists) or any(map(lists_in, asked.wanted))
        if not audience.chooses and not lists:
            return
        wanted, unwanted = self._wanted(asked, then), []
        if exclude.tags:
            unwanted.append(f"c.tags && {self._value(list(exclude.tags), 'text[]')}")
        if asked.unwanted is not None:
            unwanted.append(self._condition(asked.unwanted, asked.time_zone, then))
        if exclude.seen_since is not None:
            unwanted.append(self._condition(_seen(exclude.seen_since), asked.time_zone))
        then_asked = f"{ASKED}{wanted}" + "".join(f" AND ({one}) IS NOT TRUE" for one in unwanted)
        moved = f"(true{wanted}) IS NOT TRUE" if lists else "false"
        self.fragments["listed"] += WERE
        self.fragments["came_later"] = CAME_LATER.format(moved=moved, asked=then_asked)

    def exclude(self, asked: Understood) -> None:
        """What of a customer takes them out, and the figure it goes by."""
        exclude = asked.audience.exclude
        cases: list[tuple[Reason, str, str]] = []
        if exclude.lists:
            self.fragments["listed"] = _EXCLUDED_LISTS.format(lists=self._value(list(exclude.lists), "uuid[]"))
            cases.append((Reason.IN_EXCLUDED_LIST, "xl.place IS NOT NULL", "xl.place"))
        if exclude.tags:
            tags = self._value(list(exclude.tags), "text[]")
            has_one = f"cardinality(c.tags) > 0 AND c.tags && {tags}"
            cases.append((Reason.HAS_EXCLUDED_TAG, has_one, _TAG_PLACE.format(tags=tags)))
        if asked.unwanted is not None:
            cases.append((Reason.EXCLUDED_BY_QUERY, self._condition(asked.unwanted, asked.time_zone), "NULL"))
        if exclude.seen_since is not None:
            seen = self._condition(_seen(exclude.seen_since), asked.time_zone)
            cases.append((Reason.SEEN_SINCE, seen, self._seen_on(exclude.seen_since)))
        self.fragments["ruled_out"] = "".join(f" WHEN {condition} THEN '{reason:d}'" for reason, condition, _ in cases)
        if self._facts:
            self._ruling += [f"WHEN {condition} THEN ({fact})::bigint" for _, condition, fact in cases]

    def _seen_on(self, seen: Seen) -> str:
        if not self._facts:
            return "NULL"
        return _SEEN_ON.format(value=f"(c.own_fields ->> {self._value(seen.field, 'text')})")

    def messaged(self, sends: Sequence[Record], recent: datetime | None, caps: Sequence[Window | None]) -> None:
        """Who was messaged too lately, or too often."""
        first = self._first + len(self.arguments)
        made = messaged.messaged_sql(sends, recent, caps, first)
        self.fragments |= {"messaged": made.whole, "messaged_few": made.few}
        self.arguments += made.arguments
        self.fragments["rules_join"] = _MESSAGED_FACTS if self._facts else _MESSAGED
        by = f"WHEN x.recent THEN '{Reason.RECENTLY_MESSAGED:d}' WHEN x.capped THEN '{Reason.FREQUENCY_CAP:d}'"
        self.fragments["ruled_out"] += f" {by}"
        self._ruling.append("WHEN x.recent THEN x.last_at WHEN x.capped THEN x.messages")

    def keep_facts(self) -> None:
        """Carry the figures on to what is stored."""
        ruling = _CASE.format(cases=" ".join(self._ruling)) if self._ruling else "NULL::bigint"
        self.fragments["ruling"] = f", {ruling} AS fact"
        self.fragments["fact"] = _KEPT_FACT


def _seen(seen: Seen) -> Node:
    return Condition(Field(seen.field, Type.DAY, own=True), Op.AT_LEAST, seen.since)
