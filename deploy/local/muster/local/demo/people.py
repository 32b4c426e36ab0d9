"""The customers of the demo: a CSV as a small business would export it, with everything that goes wrong in one."""

import csv
import io
import random
from dataclasses import dataclass

FIRST = ("Ana", "Ben", "Chloe", "Dan", "Ella", "Finn", "Grace", "Harry", "Isla", "Jack", "Zoë", "Łukasz", "Mia", "Noah")
LAST = ("Smith", "Nguyen", "Jones", "Singh", "Williams", "O'Brien", "Brown", "Chen", "Wilson", "Kowalski", "Taylor")
HEADER = ("First name", "Last name", "Mobile", "Allow Bulk SMS", "Language", "Tags")
WRONG = ("n/a", "12345", "ask her mum", "+61 2 9374 4000", "04915", "see notes", "0491 570 15O", "99999999999999999")


@dataclass(frozen=True, slots=True)
class Country:
    """How mobile numbers look in a country: what follows the trunk zero, and how many free digits."""

    code: str
    prefix: str
    mobile: str
    free_digits: int


AU = Country("AU", "61", "4", 8)
GB = Country("GB", "44", "7", 9)


def written(country: Country, subscriber: str, style: int) -> str:
    """One number as people write it; `subscriber` is the national number without the trunk zero."""
    a, b, c = subscriber[:3], subscriber[3:6], subscriber[6:]
    return (
        f"0{subscriber}",
        f"0{a} {b} {c}",
        f"+{country.prefix}{subscriber}",
        f"+{country.prefix} {a} {b} {c}",
        f"+{country.prefix} (0){a}-{b}-{c}",
        f"00{country.prefix} {subscriber}",
        f"(0{a}) {b}.{c}",
        subscriber,
    )[style % 8]


def subscriber(country: Country, index: int) -> str:
    """The national number of the customer `index`: all different, all valid mobiles."""
    if country.code == "AU":
        return f"4{12_000_000 + index * 17:08d}"
    return f"7{400_000_000 + index * 19:09d}"


def customers_csv(country: Country, rows: int, seed: int) -> bytes:
    """A CSV of `rows` people: most fine; some share a number, allow nothing, have no number or a wrong one."""
    draw = random.Random(seed)
    out = io.StringIO(newline="")
    write = csv.writer(out).writerow
    write(HEADER)
    for index in range(rows):
        number = written(country, subscriber(country, index), index)
        chance = draw.random()
        if chance < 0.02:
            number = WRONG[index % len(WRONG)]
        elif chance < 0.03:
            number = ""
        elif chance < 0.07 and index:
            number = written(country, subscriber(country, draw.randrange(index)), index + 3)
        allow = "" if (allows := draw.random()) < 0.04 else "no" if allows < 0.10 else "yes"
        write((draw.choice(FIRST), draw.choice(LAST), number, allow, "en", draw.choice(("vip", "colour", ""))))
    return out.getvalue().encode()
