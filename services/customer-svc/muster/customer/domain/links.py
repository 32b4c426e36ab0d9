"""The link by which one recipient gets no more marketing: as long for each as for all others, and not to be guessed.

It says which send, chunk and recipient it is of, sealed by a key; nothing is stored for it but a number for each send.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

PATH: Final = "/o/"
TOKEN_CHARACTERS: Final = 16
PLACEHOLDER: Final = f"{PATH}{'0' * TOKEN_CHARACTERS}"
"""Where each recipient's own goes. No token is this, so that a text is never taken for one that was sent."""

_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VALUES: Final = {digit: value for value, digit in enumerate(_DIGITS)}
_TOKEN: Final = re.compile(f"[0-9A-Za-z]{{{TOKEN_CHARACTERS}}}")
_SEND_BITS, _CHUNK_BITS, _INDEX_BITS = 36, 18, 10
_PLACE_BITS: Final = _SEND_BITS + _CHUNK_BITS + _INDEX_BITS
_SEAL_BITS: Final = 31  # with the place less than 62 ** 16
_BYTES: Final = 8


class Place(NamedTuple):
    """A recipient: the number of the send's link, the chunk from 1, and which of its recipients from 0."""

    send: int
    chunk: int
    nth: int


class Links:
    """Makes and reads the tokens of one key."""

    def __init__(self, key: bytes) -> None:
        self._seals = hashlib.blake2b(digest_size=_BYTES, key=key[:64], person=b"link-seal")
        self._masks = hashlib.blake2b(digest_size=_BYTES, key=key[:64], person=b"link-mask")

    def token(self, place: Place) -> str:
        """TOKEN_CHARACTERS letters and digits; ValueError for a place that does not fit."""
        if place.send >> _SEND_BITS or place.chunk >> _CHUNK_BITS or place.nth >> _INDEX_BITS or min(place) < 0:
            raise ValueError(f"no link can say {place}")
        plain = (place.send << _CHUNK_BITS | place.chunk) << _INDEX_BITS | place.nth
        seal = self._seal(plain)
        rest = seal << _PLACE_BITS | plain ^ self._mask(seal)
        digits = []
        for _ in range(TOKEN_CHARACTERS):
            rest, digit = divmod(rest, len(_DIGITS))
            digits.append(_DIGITS[digit])
        return "".join(reversed(digits))

    def read(self, token: str) -> Place | None:
        """The place that a token says; None for one that was not made with this key."""
        if _TOKEN.fullmatch(token) is None:
            return None
        whole = 0
        for digit in token:
            whole = whole * len(_DIGITS) + _VALUES[digit]
        seal = whole >> _PLACE_BITS
        if seal >> _SEAL_BITS:
            return None
        plain = (whole & (1 << _PLACE_BITS) - 1) ^ self._mask(seal)
        if self._seal(plain) != seal:
            return None
        chunk = plain >> _INDEX_BITS & (1 << _CHUNK_BITS) - 1
        return Place(plain >> _CHUNK_BITS + _INDEX_BITS, chunk, plain & (1 << _INDEX_BITS) - 1)

    def _seal(self, plain: int) -> int:
        found = self._seals.copy()
        found.update(plain.to_bytes(_BYTES))
        # Never 0 in front: the placeholder is no token.
        return int.from_bytes(found.digest()) >> 64 - _SEAL_BITS | 1

    def _mask(self, seal: int) -> int:
        found = self._masks.copy()
        found.update(seal.to_bytes(_BYTES))
        return int.from_bytes(found.digest())


class SendLinks:
    """The links of one send."""

    def __init__(self, links: Links, send: int) -> None:
        self._links, self._send = links, send

    def own(self, chunk: int, texts: Sequence[str]) -> list[str]:
        """The texts of a chunk's recipients in their order, each with its own link."""
        return [
            text.replace(PLACEHOLDER, PATH + self._links.token(Place(self._send, chunk, index)))
            for index, text in enumerate(texts)
        ]


def has_placeholder(text: str) -> bool:
    """Whether each recipient of a text gets a link of their own."""
    return PLACEHOLDER in text
