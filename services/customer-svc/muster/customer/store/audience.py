"""Who of an audience is texted and why the others are not, in one pass over the tenant's customers.

The quote counts with it and the planner freezes with it, so that both judge by the same words. Merge values are put
together in SQL, since there they cost least; the names of own fields are always parameters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Any, Final, cast
from uuid import UUID

from muster.customer.domain.audience import EXCLUDED, Audience, Reason
from muster.customer.domain.fields import Kind
from muster.customer.domain.merge_text import SEPARATOR, MergeText
from muster.customer.domain.pricing import ValueClass
from muster.customer.domain.tariff import Reach
from muster.customer.domain.value_classes import Fewer, fewer
from muster.customer.store.audience_counts import Judged, Told, counts
from muster.customer.store.audience_rules import NO_RULES, RulesSql
from muster.customer.store.audience_sql import (
    CHOSEN,
    COUNTED,
    COUNTING,
    FEW,
    WHOLE_TENANTS,
    Rare,
    numbers_sql,
    rare_of,
)
from muster.customer.store.hours import AT_ANY_HOUR, HoursSql
from muster.kit.pg import Record, Tx
from muster.text.alphabet import BASIC_CHARACTERS

_FROZEN: Final = (
    CHOSEN  # noqa: S608 - as above
    + """
, numbered AS (
    SELECT *, (row_number() OVER (PARTITION BY reason, place, span ORDER BY customer_id) - 1) / {chunk_max} AS slice
    FROM (SELECT *, CASE reason WHEN 0 THEN country ELSE '' END AS place,
              CASE reason WHEN 0 THEN hours ELSE 0 END AS span FROM chosen) c
), frozen AS (
    INSERT INTO plan_frozen (tenant_id, bulk_id, reason, chunk, country, customer_ids, numbers, hashes, joined,
                             allowed, facts)
    SELECT $1, $13, reason, row_number() OVER (PARTITION BY reason ORDER BY place <> $14, place, span, slice), place,
        array_agg(customer_id ORDER BY customer_id),
        array_agg(number ORDER BY customer_id) FILTER (WHERE reason = 0),
        string_agg(number_hash, ''::bytea ORDER BY customer_id) FILTER (WHERE reason = 0),
        {joined_aggregate}, {allowed}, array_agg(fact ORDER BY customer_id) FILTER (WHERE reason IN {with_facts})
    FROM numbered GROUP BY reason, place, span, slice
    RETURNING reason, cardinality(customer_ids) AS customers, allowed[1] AS opens
)
SELECT reason, opens, sum(customers)::bigint AS customers, count(*) AS chunks, (SELECT count(*) FROM judged) AS asked,
    kit_now() AS at
FROM frozen GROUP BY reason, opens
"""
)

# A figure is kept of who shares a number (the customer who is texted) and of who is excluded.
_WITH_FACTS: Final = f"({', '.join(str(int(one)) for one in (Reason.DUPLICATE_NUMBER, *EXCLUDED))})"

# The basic alphabet without line breaks and what markup begins with, as in brackets of a pattern.
_LETTERS: Final = "".join(sorted(BASIC_CHARACTERS - frozenset("<\r\n-'"))) + "''-"
# What values cost is told by one of each class; all others stand for themselves. A text of the basic alphabet costs
# what as many letters "a" cost: with these grouped, codes, names and addresses come to a few classes. A number costs
# what one of other digits does; a day what one of another year (of four digits) does, or another day of the month with
# as many digits, unless its weekday is written out. Whether there is a 29th to 31st is the same each year but in
# February.
_REPRESENTATIVES: Final[Mapping[Kind, str]] = {
    Kind.TEXT: f"CASE WHEN {{value}} COLLATE \"C\" ~ '^[{_LETTERS}]+$' AND {{value}} = btrim({{value}})"
    " THEN repeat('a', length({value})) ELSE {value} END",
    Kind.NUMBER: "translate({value}, '023456789', '111111111')",
    Kind.DATE: """CASE WHEN {value} LIKE '____-__-__' AND translate({value}, '0123456789', '') = '--'
            AND left({value}, 1) <> '0' AND right({value}, 6) <> '-02-29'
        THEN '2001' || CASE WHEN right({value}, 2) BETWEEN '01' AND '09' THEN substr({value}, 5, 4) || '02'
            WHEN right({value}, 2) BETWEEN '10' AND '28' THEN substr({value}, 5, 4) || '22'
            ELSE right({value}, 6) END
        ELSE {value} END""",
}
_ITSELF: Final = "{value}"


@dataclass(frozen=True, slots=True)
class Counted:
    """An audience by reason, its recipients by what their text costs, and the snapshot that saw it. groups: recipients
    by country, kind of consent ("" where nobody asks for it) and class of hours."""

    customers: int
    left_out: dict[Reason, int]
    classes: list[ValueClass]
    snapshot: str
    groups: dict[tuple[str, str, int], int]
    memo: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    def fewer(self, text: MergeText) -> Fewer:
        """The recipients in fewer classes; for a text whose fields were asked for before it is known."""
        found = self.memo.get(text.ways)
        if found is None:
            self.memo.clear()
            found = self.memo[text.ways] = fewer(text, self.classes)
        return cast("Fewer", found)


async def count_audience(
    tx: Tx,
    tenant_id: UUID,
    audience: Audience,
    text: MergeText,
    reach: Reach,
    *,
    marketing: bool,
    hours: HoursSql = AT_ANY_HOUR,
    rules: RulesSql = NO_RULES,
    archived: bool = False,
) -> Counted:
    """Counts every customer of the audience once. archived: those instead who would be in it if they were not in the
    archive."""
    asked = _judged(tenant_id, audience, text, reach, marketing, hours, rules, archived)
    told = await counts.judge(tx, tenant_id, asked)
    made = told.memo.get(Counted)
    if made is None:
        made = told.memo[Counted] = _read(told)
    return replace(made, snapshot=told.snapshot)


def _read(told: Told) -> Counted:
    left_out: dict[Reason, int] = {}
    groups: dict[tuple[str, str, int], int] = {}
    classes = []
    for verdict, customers, one_of in told.counts:
        country, *recipient = verdict.split(SEPARATOR, 3)
        if recipient:
            group = country, recipient[0], int(recipient[1])
            classes.append(ValueClass(country, recipient[2], customers, one_of))
            groups[group] = groups.get(group, 0) + customers
        else:
            left_out[Reason(int(country))] = customers
    return Counted(sum(one for _, one, _ in told.counts), left_out, classes, told.snapshot, groups)


def _judged(
    tenant_id: UUID,
    audience: Audience,
    text: MergeText,
    reach: Reach,
    marketing: bool,  # noqa: FBT001
    hours: HoursSql,
    rules: RulesSql,
    archived: bool,  # noqa: FBT001
) -> Judged:
    values = [_representative(text, name).format(value=_value(text, name)) for name in text.fields]
    ruled, ruled_by = rules.fragments(14 + len(hours.arguments))
    arguments = (
        *_arguments(tenant_id, audience, text, reach, marketing),
        *(None, None, reach.allowed, *hours.arguments, *ruled_by),
    )
    sends = bool(ruled["messaged"])
    fragments = {"missing": _missing(text), "joined": _joined(text, values), "abroad": "$13", **ruled}
    fragments |= {"archived": "NOT" if archived else ""}
    seen = {"seen": f"${len(arguments) + 1}", "sends": str(sends).lower()}

    async def whole(tx: Tx) -> str:
        return COUNTED.format(**fragments, **numbers_sql(await rare_of(tx, tenant_id), hours, 14))

    few = FEW.format(**fragments, **numbers_sql(Rare(), hours, 14), **seen)
    return Judged(few, arguments, whole, (WHOLE_TENANTS, COUNTING), sends)


@dataclass(frozen=True, slots=True)
class Frozen:
    """What was frozen: customers of the audience, recipients and their chunks, and the others by reason.

    starts: the first moment (unix seconds) at which so many recipients may be texted; none where that is any time. at:
    as of when they were judged; None where there is nobody.
    """

    customers: int
    recipients: int
    chunks: int
    left_out: dict[Reason, int]
    starts: list[tuple[int, int]]
    at: datetime | None


async def freeze_audience(
    tx: Tx,
    tenant_id: UUID,
    bulk_id: UUID,
    audience: Audience,
    text: MergeText,
    reach: Reach,
    *,
    marketing: bool,
    home: str,
    seen: tuple[str, datetime],
    chunk_max: int,
    hours: HoursSql = AT_ANY_HOUR,
    rules: RulesSql = NO_RULES,
) -> Frozen:
    """Store the membership of a send in one statement, `home` country first. seen: the quote's snapshot and time."""
    aggregate = "array_agg(joined ORDER BY customer_id) FILTER (WHERE reason = 0)" if text.personal else "NULL"
    more = (*hours.arguments, *hours.spans)
    ruled, ruled_by = rules.fragments(16 + len(more), facts=True)
    sql = _FROZEN.format(
        missing=_missing(text),
        joined=_joined(text, [_value(text, name) for name in text.fields]),
        joined_aggregate=aggregate,
        chunk_max=int(chunk_max),
        abroad="$15",
        with_facts=_WITH_FACTS,
        **numbers_sql(await rare_of(tx, tenant_id), hours, 16),
        **ruled,
    )
    arguments = _arguments(tenant_id, audience, text, reach, marketing)
    await tx.execute(WHOLE_TENANTS)
    given = (*seen, bulk_id, home, reach.allowed, *more, *ruled_by)
    rows = await tx.fetch(sql, *arguments, *given)
    left_out = {Reason(row["reason"]): row["customers"] for row in rows if row["reason"] != Reason.NONE}
    texted = [row for row in rows if row["reason"] == Reason.NONE]
    return Frozen(
        rows[0]["asked"] if rows else 0,
        sum(row["customers"] for row in texted),
        sum(row["chunks"] for row in texted),
        left_out,
        [(row["opens"], row["customers"]) for row in texted if row["opens"] is not None],
        rows[0]["at"] if rows else None,
    )


_MISSING: Final = str(int(Reason.MISSING_FIELD))
_MISSING_ROWS: Final = (
    CHOSEN
    + """
SELECT customer_id FROM chosen WHERE reason = 5 ORDER BY customer_id LIMIT $13
"""
)


async def missing_rows(
    tx: Tx,
    tenant_id: UUID,
    audience: Audience,
    text: MergeText,
    reach: Reach,
    *,
    marketing: bool,
    limit: int,
    rules: RulesSql = NO_RULES,
) -> list[dict[str, Any]]:
    """The first customers that a blank merge field leaves out: id, name and the fields that are blank."""
    asked = _judged(tenant_id, audience, text, reach, marketing, AT_ANY_HOUR, rules, archived=False)
    told = await counts.judge(tx, tenant_id, asked)
    ids: list[int] | None = told.memo.get((missing_rows, limit))
    if ids is None and told.tally is not None:
        ids = told.memo[missing_rows, limit] = list(islice(told.tally.of_verdict(_MISSING), limit))
    if ids is None:
        ids = await _missing_ids(tx, tenant_id, audience, text, reach, marketing, limit, rules)
    people = await named_values(tx, tenant_id, text, ids)
    found = ((one, people[one]["name"], text.missing(people[one]["joined"])) for one in ids if one in people)
    # Who has changed since they were counted may have all of them.
    return [{"customer_id": one, "name": name, "fields": fields} for one, name, fields in found if fields]


async def _missing_ids(
    tx: Tx,
    tenant_id: UUID,
    audience: Audience,
    text: MergeText,
    reach: Reach,
    marketing: bool,  # noqa: FBT001
    limit: int,
    rules: RulesSql,
) -> list[int]:
    ruled, ruled_by = rules.fragments(15)
    fragments = {**numbers_sql(await rare_of(tx, tenant_id), AT_ANY_HOUR, 15), **ruled}
    sql = _MISSING_ROWS.format(missing=_missing(text), joined="''", abroad="$14", **fragments)
    arguments = _arguments(tenant_id, audience, text, reach, marketing)
    given = (*arguments, None, None, limit, reach.allowed, *ruled_by)
    return [row["customer_id"] for row in await counts.fetch(tx, tenant_id, sql, *given, before=WHOLE_TENANTS)]


_NAMED: Final = """
SELECT c.customer_id, btrim(c.first_name || ' ' || c.last_name) AS name, {joined} AS joined
FROM customer c WHERE c.tenant_id = $1 AND c.customer_id = ANY ($2::bigint[]) AND $3::text[] IS NOT NULL
"""


async def named_values(tx: Tx, tenant_id: UUID, text: MergeText, customer_ids: Sequence[int]) -> dict[int, Record]:
    """The name of each of these customers, and `joined`, their merge values as they are now."""
    values = [_value(text, name).replace("$10", "$3") for name in text.fields]
    names = [name.lower() for name in text.fields]
    rows = await tx.fetch(_NAMED.format(joined=_joined(text, values)), tenant_id, list(customer_ids), names)
    return {row["customer_id"]: row for row in rows}


_UNKNOWN_FIELDS = """
SELECT f FROM unnest($2::text[]) f
WHERE NOT EXISTS (SELECT FROM customer c WHERE c.tenant_id = $1 AND c.own_fields ? lower(f))
"""


async def unknown_fields(tx: Tx, tenant_id: UUID, names: Sequence[str]) -> list[str]:
    """Those of these own fields that no customer of the tenant has."""
    return [row["f"] for row in await counts.fetch(tx, tenant_id, _UNKNOWN_FIELDS, tenant_id, list(names))]


_COLUMNS: Final = {"first_name": "c.first_name", "last_name": "c.last_name", "language": "c.language"}


def _value(text: MergeText, name: str) -> str:
    column = _COLUMNS.get(name.lower())
    return column or f"coalesce(c.own_fields ->> ($10::text[])[{text.fields.index(name) + 1}], '')"


def _representative(text: MergeText, name: str) -> str:
    kind = text.kind_of(name)
    forms = {one.form for variant in text.variants for one in variant.fields if one.name == name}
    return _ITSELF if "full" in forms else _REPRESENTATIVES.get(kind, _ITSELF)


# As `without_markup` of domain/merge_text.py: nothing is left but tags.
_NOTHING_BUT_TAGS: Final = (
    "(strpos({value}, '<') > 0 AND regexp_replace(regexp_replace({value}, '<[/!?]?[A-Za-z][^<>]*>', '', 'g'), "
    r"'<+(?=[A-Za-z/!?])', '', 'g') ~ '^[ \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]*$')"
)


def _blank(text: MergeText, name: str) -> str:
    value = _value(text, name)
    tags = f" OR {_NOTHING_BUT_TAGS.format(value=value)}" if text.kind_of(name) is Kind.TEXT else ""
    return f"({value} = ''{tags})"


def _missing(text: MergeText) -> str:
    """Whether a field is blank that the text of somebody's language needs."""
    needs = [" OR ".join(_blank(text, name) for name in variant.required) or "false" for variant in text.variants]
    if len(set(needs)) == 1:
        return needs[0]
    whens = " ".join(f"WHEN {at} THEN {one}" for at, one in enumerate(needs))
    return f"CASE {_variant(text)} {whens} ELSE false END"


def _variant(text: MergeText) -> str:
    """Which variant is somebody's, as `MergeText.variant_for`: the longest match is the tag that says most. Tags are
    letters, digits and dashes."""
    tags = "|".join(tag for _, tag in text.by_length)
    spoken = f"substring(lower(replace(c.language, '_', '-')) FROM '^({tags})(?:-|$)')"
    whens = " ".join(f"WHEN '{tag}' THEN {at}" for at, tag in text.by_length)
    return f"CASE WHEN c.language = '' THEN 0 ELSE CASE {spoken} {whens} ELSE 0 END END"


def _joined(text: MergeText, values: Sequence[str]) -> str:
    """As `MergeText.join`."""
    parts = [*([f"({_variant(text)})::text"] if len(text.variants) > 1 else []), *values]
    if len(parts) == 1:
        return f"coalesce({parts[0]}, '')"
    return f"concat_ws(E'\\x1f', {', '.join(parts)})" if parts else "''"


def _arguments(tenant_id: UUID, audience: Audience, text: MergeText, reach: Reach, marketing: bool) -> tuple[Any, ...]:  # noqa: FBT001
    pattern, digits = search_patterns(audience.search)
    ids = None if audience.customer_ids is None else list(audience.customer_ids)
    names = [name.lower() for name in text.fields]
    return (
        *(tenant_id, marketing, list(reach.open), list(reach.closed), reach.others),
        *(audience.tag, ids, pattern, digits, names),
    )


def search_patterns(search: str | None) -> tuple[str | None, str | None]:
    """LIKE patterns for what is written: for names, and for numbers where it is digits (a leading zero is national)."""
    if search is None:
        return None, None
    escaped = search.strip().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    digits = "".join(c for c in search if c.isascii() and c.isdigit())
    is_number = digits and not any(c.isalpha() for c in search)
    return f"%{escaped}%", f"%{digits.lstrip('0') or digits}%" if is_number else None
