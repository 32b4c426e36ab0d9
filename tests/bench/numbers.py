"""What checking a number costs, and whether it says what phonenumbers says of random and mutated ones of 40 countries.

Judged is what can be texted: E.164 and its country, or that it is no mobile number. Two things are left out, since they
are meant to be read otherwise than phonenumbers reads them: "00" in the place of a plus sign, and the zero of a
spreadsheet's 412345678.0, which is no digit of the number (`muster.text.numbers`).
"""

import random
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from muster.text import read_any_column, read_column, read_number

COUNTRIES: Final = (
    *("AU", "NZ", "US", "CA", "GB", "IE", "DE", "FR", "ES", "PT", "IT", "NL", "BE", "CH", "AT", "DK", "SE", "NO", "FI"),
    *("PL", "CZ", "GR", "TR", "RU", "UA", "ZA", "NG", "KE", "EG", "IL", "AE", "IN", "CN", "JP", "KR", "SG", "MY", "PH"),
    *("BR", "MX"),
)
_TEXTABLE: Final = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})
_KINDS: Final = (
    *("mobile", "mobile", "mobile", "fixed_line", "premium_rate", "toll_free", "voip", "personal_number", "pager"),
    *("shared_cost", "uan"),
)
_DECIMALS: Final = re.compile(r"\+?\d{8,}\.0+")
_SIGNS: Final = (" ", "-", ".", " (", ") ", "  ")
_AGREED: Final = 200_000
_TIMED: Final = 200_000
_ASKED: Final = 5_000
_ROUNDS: Final = 3
_COLUMN: Final = 1_000
"""As an import reads them: each column of so many rows at once."""

Judged = tuple[str, str | None] | None


def numbers(count: int, seed: int) -> Iterator[tuple[str, str]]:
    """(as written, country): near an example of each kind of number of each country, dialled in each way, typed as
    people type; some with a digit changed, taken out, put in or exchanged."""
    chance = random.Random(seed)
    examples = {country: _examples(country) for country in COUNTRIES}
    for n in range(count):
        country = COUNTRIES[n % len(COUNTRIES)]
        metadata: Any = phonenumbers.PhoneMetadata.metadata_for_region(country)
        code, prefix = str(metadata.country_code), metadata.national_prefix or ""
        example = chance.choice(examples[country])
        kept = chance.randint(1, len(example))
        national = example[:kept] + "".join(chance.choices("0123456789", k=len(example) - kept))
        if chance.random() < 0.3:
            national = _mutated(chance, national)
        if chance.random() < 0.05:
            national = "".join(chance.choices("0123456789", k=chance.randint(3, 13)))
        own, abroad = prefix + national, f"+{code}{national}"
        dialled = chance.choice((abroad, abroad, own, own, national, code + national, f"+{code}{own}"))
        yield (_typed(chance, dialled) if chance.random() < 0.4 else dialled), country


def _examples(country: str) -> list[str]:
    metadata: Any = phonenumbers.PhoneMetadata.metadata_for_region(country)
    described = (getattr(metadata, kind) for kind in _KINDS)
    return [desc.example_number for desc in described if desc and desc.example_number]


def _mutated(chance: random.Random, digits: str) -> str:
    at = chance.randrange(len(digits))
    digit = chance.choice("0123456789")
    return chance.choice(
        (
            digits[:at] + digit + digits[at + 1 :],
            digits[:at] + digits[at + 1 :],
            digits[:at] + digit + digits[at:],
            digits[:at] + digits[at : at + 2][::-1] + digits[at + 2 :],
        )
    )


def _typed(chance: random.Random, dialled: str) -> str:
    written = list(dialled)
    for at in sorted({chance.randrange(1, len(written) + 1) for _ in range(3)}, reverse=True):
        written.insert(at, chance.choice(_SIGNS))
    return "".join(written)


def by_us(written: Sequence[str], country: str) -> list[Judged]:
    """E.164 and country of each that can be texted."""
    column = read_column(written, country)
    return [(e164, of) if of else None for e164, of in zip(column.e164, column.countries, strict=True)]


def by_phonenumbers(written: str, country: str) -> Judged:
    """The same by phonenumbers alone."""
    try:
        parsed = phonenumbers.parse(written, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(parsed) or phonenumbers.number_type(parsed) not in _TEXTABLE:
        return None
    return phonenumbers.format_number(parsed, PhoneNumberFormat.E164), phonenumbers.region_code_for_number(parsed)


def disagreements(count: int, seed: int) -> list[tuple[str, str, Judged, Judged]]:
    """(as written, country, what we say, what phonenumbers says) wherever these are not the same."""
    columns = defaultdict(list)
    for written, country in numbers(count, seed):
        columns[country].append(written)
    found = []
    for country, column in columns.items():
        for at in range(0, len(column), _COLUMN):
            rows = column[at : at + _COLUMN]
            for written, ours in zip(rows, by_us(rows, country), strict=True):
                theirs = by_phonenumbers(written, country)
                meant = theirs is None and written.startswith("00")
                if ours != theirs and not meant and not _DECIMALS.fullmatch(written):
                    found.append((written, country, ours, theirs))
    return found


def measure(seed: int) -> dict[str, Any]:
    """Microseconds of CPU for each number, the best of some rounds, and who says other than phonenumbers."""
    chance = random.Random(seed)
    # In blocks that are given out, as those of customers are.
    mobiles = [f"{chance.choice('0123')}{chance.randrange(10**7):07d}" for _ in range(_TIMED)]
    plain = [f"+614{one}" for one in mobiles]
    typed = [f"04{one[:2]} {one[2:5]} {one[5:]}" for one in mobiles]
    landlines = [f"(03) 9{one[1:4]} {one[4:]}" for one in mobiles]
    short = [one[:-1] for one in typed]
    wrong = disagreements(_AGREED, seed)
    figures = {
        "plus_us": _each_us(_by_columns, plain),
        "typed_us": _each_us(_by_columns, typed),
        "landline_us": _each_us(_by_columns, landlines),
        "digit_missing_us": _each_us(_by_columns, short),
        "plus_alone_us": _each_us(_one_by_one, plain),
        "typed_alone_us": _each_us(_one_by_one, typed),
        "phonenumbers_us": _each_us(_by_phonenumbers, typed[:_ASKED]),
    }
    return {
        **figures,
        "ratio": round(figures["phonenumbers_us"] / figures["plus_us"]),
        "ratio_typed": round(figures["phonenumbers_us"] / figures["typed_us"]),
        "compared": _AGREED,
        "disagree": len(wrong),
        "examples": wrong[:5],
    }


def _by_columns(written: Sequence[str]) -> None:
    for at in range(0, len(written), _COLUMN):
        read_any_column(written[at : at + _COLUMN], "AU")


def _one_by_one(written: Sequence[str]) -> None:
    for one in written:
        read_number(one, "AU")


def _by_phonenumbers(written: Sequence[str]) -> None:
    for one in written:
        by_phonenumbers(one, "AU")


def _each_us(read: Callable[[Sequence[str]], None], written: Sequence[str]) -> float:
    best = float("inf")
    for _ in range(_ROUNDS):
        began = time.process_time()
        read(written)
        best = min(best, time.process_time() - began)
    return round(best / len(written) * 1e6, 2)
