"""A text with merge fields, in one language or several, and what it says to one person.

The quote, the plan, the preview and the explanation all render by `MergeText.render`, from merge values that are joined
in one string. Values are data: what is in them is never read as a field. A date or a number is written as people of the
text's language do; every other value loses its line breaks and marks of markup, unless its own field is a free text.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Final, cast

from muster.customer.domain import locales
from muster.customer.domain.customers import STANDARD_FIELDS
from muster.customer.domain.fields import Kind, clean_lines
from muster.customer.domain.merge_reader import FIELDS_MAX, Field, Pieces, mistake, read_pieces
from muster.customer.domain.refusal import Refusal
from muster.text import PARTS_MAX, Dearer, TextRefused, count_parts, dearer_characters
from muster.text.merge import clean_value

SEPARATOR: Final = "\x1f"  # joins the merge values of one customer; no stored value can hold it
TEXT_CHARACTERS_MAX: Final = 39_015  # 255 parts of 153
LANGUAGES_MAX: Final = 30
_SIGNS: Final = re.compile(r"\\[{}]|\{\{.*?\}\}|\{.*?\}", re.DOTALL)
# store/audience.py says the same in SQL. Without a "<" before a letter nothing is left that another pass would find.
_TAG: Final = re.compile(r"<[/!?]?[A-Za-z][^<>]*>")
_OPENING: Final = re.compile(r"<+(?=[A-Za-z/!?])")


@dataclass(frozen=True, slots=True)
class Style:
    """How the values of a text are written: in the language of the text, as its country does, and of what kind each own
    field is that is no plain text, by key."""

    language: str = ""
    country: str = ""
    kinds: Mapping[str, Kind] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """As plain values, for a quote to keep."""
        kinds = {key: kind.value for key, kind in self.kinds.items()}
        return {"language": self.language, "country": self.country, "kinds": kinds}

    @classmethod
    def read(cls, plain: Mapping[str, Any] | None) -> "Style":
        """What `plain` wrote; of quotes of before there were styles: every value is a text."""
        if plain is None:
            return cls()
        return cls(plain["language"], plain["country"], {key: Kind(kind) for key, kind in plain["kinds"].items()})


@dataclass(frozen=True, slots=True)
class Variant:
    """The text in one language. required: names of the fields without a fallback. steps: what `pieces` are written
    from: a field with the place of its value among those of the text, and its kind."""

    language: str
    text: str
    pieces: Pieces
    required: tuple[str, ...]
    steps: "tuple[str | tuple[int, Field, Kind], ...]" = ()

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields in order, each as often as it is written."""
        return tuple(piece for piece in self.pieces if isinstance(piece, Field))


@dataclass(frozen=True, slots=True)
class MergeText:
    """A text with its merge fields: distinct names in order, of all languages together. text: that of the first
    variant, which is everybody's whose language none of the others is in."""

    text: str
    variants: tuple[Variant, ...]
    fields: tuple[str, ...]
    style: Style = field(default_factory=Style)

    @classmethod
    def read(
        cls, text: str, style: Style | None = None, others: Mapping[str, str] | None = None
    ) -> "MergeText | Refusal":
        """The parsed text, or why it cannot be sent to anybody. others: by language, as `read_language` writes it."""
        style = style or Style()
        variants: list[Variant] = []
        for language, written in chain([(style.language, text)], (others or {}).items()):
            named = f"variants.{language}" if variants else "text"
            variant = _variant(language, written, named, style.kinds)
            if isinstance(variant, Refusal):
                return variant
            variants.append(variant)
        names = tuple(dict.fromkeys(one.name for variant in variants for one in variant.fields))
        if len(names) > FIELDS_MAX:
            message = f"A text has at most {FIELDS_MAX} different merge fields; this one has {len(names)}."
            return Refusal("text", "too_many_fields", message, {"limit": FIELDS_MAX, "fields": len(names)})
        ready = tuple(replace(variant, steps=_steps(variant, names, style.kinds)) for variant in variants)
        used = {key: kind for key in map(str.lower, names) if (kind := style.kinds.get(key)) is not None}
        return cls(text, ready, names, Style(style.language, style.country, used))

    @classmethod
    def literal(cls, text: str) -> "MergeText | Refusal":
        """A text without merge fields, in which braces are braces."""
        return unusable(text) or cls(text, (Variant("", text, (text,), (), (text,)),), ())

    @property
    def personal(self) -> bool:
        """Whether it does not say the same to everybody: `joined` has something for each person."""
        return bool(self.fields) or len(self.variants) > 1

    @property
    def required(self) -> tuple[str, ...]:
        """The names without a fallback, in one language at least."""
        return tuple(dict.fromkeys(name for variant in self.variants for name in variant.required))

    @property
    def dearer(self) -> tuple[Dearer, ...]:
        """The characters of the text itself, without what stands in its fields, that make it dearer."""
        return dearer_characters(outside_fields(self.text) if self.fields else self.text)

    def literals_for(self, joined: str) -> tuple[str, ...]:
        """What stands between the fields of the variant that these merge values were joined for."""
        return tuple(piece for piece in self.variants[self.variant_of(joined)].pieces if isinstance(piece, str))

    def rewritten(self, change: Callable[[str], str]) -> "MergeText":
        """The same with `change` made of what stands between the fields of the first variant."""
        first = self.variants[0]
        pieces = tuple(change(piece) if isinstance(piece, str) else piece for piece in first.pieces)
        changed = replace(first, pieces=pieces)
        steps = _steps(changed, self.fields, self.style.kinds)
        return replace(self, variants=(replace(changed, steps=steps), *self.variants[1:]))

    def kind_of(self, name: str) -> Kind:
        """Of what kind the values of a field are."""
        return self.style.kinds.get(name.lower(), Kind.TEXT) if self.style.kinds else Kind.TEXT

    def variant_for(self, language: str) -> int:
        """Which variant somebody of this language is sent: that of the language as it is spoken where they are, else of
        the language, else the first. store/audience.py says the same in SQL."""
        spoken = language.replace("_", "-").lower()
        return next((at for at, tag in self.by_length if spoken == tag or spoken.startswith(f"{tag}-")), 0)

    @property
    def by_length(self) -> list[tuple[int, str]]:
        """The variants with their languages in lower case, those that say more first."""
        tags = ((at, variant.language.lower()) for at, variant in enumerate(self.variants) if variant.language)
        return sorted(tags, key=lambda one: (-len(one[1]), one[0]))

    def variant_of(self, joined: str) -> int:
        """Which variant these merge values were joined for."""
        return int(joined.split(SEPARATOR, 1)[0]) if len(self.variants) > 1 else 0

    def join(self, values: Mapping[str, str], language: str = "") -> str:
        """The merge values of one customer, by key, as `render` takes them."""
        which = [str(self.variant_for(language))] if len(self.variants) > 1 else []
        return SEPARATOR.join([*which, *(values.get(name.lower(), "") for name in self.fields)])

    def missing(self, joined: str) -> list[str]:
        """The fields that keep somebody with these merge values out of the send."""
        variant, values = self._split(joined)
        blank = {one.name for step in variant.steps if (one := self._blank(step, values, variant)) is not None}
        return [name for name in variant.required if name in blank]

    @property
    def ways(self) -> tuple[Any, ...]:
        """All that it takes to know what its fields say of a value: equal for texts with the same fields."""
        steps = (tuple(step for step in variant.steps if not isinstance(step, str)) for variant in self.variants)
        said = tuple(tuple((at, one.name, one.form, kind) for at, one, kind in each) for each in steps)
        return self.fields, said, tuple(one.language for one in self.variants), self.style.language, self.style.country

    def said(self, variant: int, field: int, value: str) -> str | None:
        """What a variant says of a value of a field, both by number; None where it says it in several forms. Blank: it
        says its fallback, or has no such field."""
        own = self.variants[variant]
        steps = [step for step in own.steps if not isinstance(step, str) and step[0] == field]
        if len({one.form for _, one, _ in steps}) > 1:
            return None
        return self._value(steps[0][1], steps[0][2], value, own) if steps else ""

    def render(self, joined: str) -> str:
        """The text for one customer, whose merge values are joined in the order of `fields`, behind the number of the
        variant where there are several.

        Raises ValueError if a required value is blank: such a customer was to be left out before.
        """
        variant, values = self._split(joined)
        parts = []
        for step in variant.steps:
            if isinstance(step, str):
                parts.append(step)
                continue
            at, one, kind = step
            said: str | None = values[at].strip()
            # The usual name, as most of a million are.
            if kind is not Kind.TEXT or not values[at].isprintable() or "<" in values[at]:
                said = self._value(one, kind, values[at], variant)
            if not said:
                said = one.fallback
            if said is None:
                raise ValueError(f"a customer without {one.name} was not left out")
            parts.append(said)
        return "".join(parts)

    def _blank(self, step: str | tuple[int, Field, Kind], values: Sequence[str], variant: Variant) -> Field | None:
        """The field of a step, where there is no value of it."""
        if isinstance(step, str):
            return None
        at, one, kind = step
        return None if self._value(one, kind, values[at], variant) else one

    def _split(self, joined: str) -> tuple[Variant, Sequence[str]]:
        """ValueError for what was not joined for this text."""
        values = joined.split(SEPARATOR) if self.personal else []
        at = int(values.pop(0)) if len(self.variants) > 1 else 0
        if not 0 <= at < len(self.variants):
            raise ValueError("joined for another text")
        if len(values) != len(self.fields):
            raise ValueError("joined for another text")
        return self.variants[at], values

    def _value(self, one: Field, kind: Kind, value: str, variant: Variant) -> str:
        if kind is Kind.FREE:
            return clean_lines(value)
        clean = clean_value(value)
        if kind is Kind.TEXT:
            return without_markup(clean) if "<" in clean else clean
        if not clean:
            return ""
        if one.form == "plain":
            return clean
        locale = locales.locale_of(variant.language or self.style.language, self.style.country)
        if kind is Kind.NUMBER:
            return locales.number_written(clean, locale)
        return locales.day_written(clean, locale, cast(locales.Length, one.form or "medium"))


def outside_fields(text: str) -> str:
    """A text with blanks where its fields stand: what everybody is told, at the place where it stands."""
    return _SIGNS.sub(_spaces, text)


def without_markup(value: str) -> str:
    """A value without tags, and without what could begin one; "I <3 you" stays."""
    return _OPENING.sub("", _TAG.sub("", value)).strip()


def unusable(text: str, named: str = "text") -> Refusal | None:
    """Why nobody could be sent this text, whatever the route."""
    if len(text) > TEXT_CHARACTERS_MAX:
        message = f"A text has at most {TEXT_CHARACTERS_MAX:,} characters; this one has {len(text):,}."
        return Refusal(named, "too_long", message, {"limit": TEXT_CHARACTERS_MAX, "characters": len(text)})
    if clean_value(text) or (not text.isprintable() and any("\ud800" <= c <= "\udfff" for c in text)):
        return None  # halves of surrogate pairs are refused by their own name
    return Refusal(named, "empty", "The text is empty.")


def judge_length(variant: Variant, named: str = "text") -> Refusal | None:
    """Why a text has too many parts for anybody, whatever stands in its fields."""
    written = "".join(piece for piece in variant.pieces if isinstance(piece, str))
    try:
        count_parts(written or " ")
    except TextRefused as refused:
        return Refusal(named, refused.code, str(refused), {"limit": PARTS_MAX})
    return None


def _variant(language: str, text: str, named: str, kinds: Mapping[str, Kind]) -> Variant | Refusal:
    pieces = unusable(text, named) or read_pieces(text, named)
    if isinstance(pieces, Refusal):
        return pieces
    fields = [piece for piece in pieces if isinstance(piece, Field)]
    for one in fields:
        kind = kinds.get(one.key, Kind.TEXT)
        if one.form is not None and (kind not in _WITH_FORMS or (kind is Kind.NUMBER and one.form != "plain")):
            why = f"'{one.name}' is a {kind.value}, which has no form '{one.form}'"
            if one.key not in STANDARD_FIELDS:
                why += f"; what it holds is said by PUT /v1/own-fields/{one.key}"
            return mistake(text, named, one.position, "no_such_form", why, [f"{{{one.name}}}"])
    required = dict.fromkeys(one.name for one in fields if one.fallback is None)
    return Variant(language, text, pieces, tuple(required))


_WITH_FORMS: Final = (Kind.DATE, Kind.NUMBER)


def _steps(
    variant: Variant, names: Sequence[str], kinds: Mapping[str, Kind]
) -> tuple[str | tuple[int, Field, Kind], ...]:
    return tuple(
        piece if isinstance(piece, str) else (names.index(piece.name), piece, kinds.get(piece.key, Kind.TEXT))
        for piece in variant.pieces
    )


def _spaces(found: re.Match[str]) -> str:
    return " " * len(found[0])
