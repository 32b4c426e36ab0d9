"""BENCH=parts: what it costs to count the parts of texts of 160 characters, and to cut them as they leave.

Times move with the machine and with what else it does, so each kind of text stands beside Python's own encoder with the
same table, over the same texts in the same run: `ratio` is how many times our count is cheaper than that encoder alone,
which is the least that a count by encoding costs.
"""

import codecs
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from muster.text import count_parts, encode_parts
from muster.text.alphabet import ENCODER

TEXTS: Final = 20_000
ROUNDS: Final = 7
_BODY: Final = "Hi Anna {:06d}, our autumn sale starts on Monday at 10: 20% off all cuts and colours until Friday. " + (
    "Book by phone or online. See you soon, your team at Salon Mia in the High Street. " * 2
)
# Each is 160 characters long, with this at its end: plain, accented, with an escape (two parts), curly, Greek, emoji.
KINDS: Final = {"gsm7": "", "accents": "é", "euro": "€", "curly": "’", "emoji": "😀"}


def measure() -> dict[str, Any]:
    """Microseconds of CPU a text, the best of some rounds, for distinct texts: nothing is remembered between them."""
    found: dict[str, Any] = {"bench": "parts", "texts": TEXTS}
    for name, end in KINDS.items():
        texts = [_BODY.format(number)[: 160 - len(end)] + end for number in range(TEXTS)]
        encoder = _us_per_text(lambda text: codecs.charmap_encode(text, "ignore", ENCODER), texts)
        count = _us_per_text(count_parts, texts)
        found[name] = {
            "count_us": round(count, 3),
            "cut_us": round(_us_per_text(encode_parts, texts), 3),
            "encoder_us": round(encoder, 3),
            "ratio": round(encoder / count, 1),
        }
    return found


def _us_per_text(function: Callable[[str], Any], texts: Sequence[str]) -> float:
    return min(_once_us(function, texts) for _ in range(ROUNDS)) / len(texts)


def _once_us(function: Callable[[str], Any], texts: Sequence[str]) -> float:
    begun = time.process_time_ns()
    for text in texts:
        function(text)
    return (time.process_time_ns() - begun) / 1_000
