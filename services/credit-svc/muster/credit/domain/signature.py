"""Signatures of webhooks by the Standard Webhooks specification. Pure.

Our own thirty lines, since the library on PyPI (standardwebhooks 1.1) reads a clock of its own, knows one secret at a
time, and answers a malformed signature by a ValueError from within.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Sequence
from enum import StrEnum
from hashlib import sha256

TOLERANCE_S = 300
SECRET_BYTES_MIN, SECRET_BYTES_MAX = 24, 64
ID_CHARS_MAX = 255
SIGNATURES_MAX = 20

_PREFIX = "whsec_"
_VERSION = "v1,"
_ID = re.compile(rf"[\x21-\x7e]{{1,{ID_CHARS_MAX}}}")
_UNIX_S = re.compile(r"[0-9]{1,11}", re.ASCII)


class Unsigned(StrEnum):
    """Why a call is not taken for one of the provider."""

    HEADERS = "headers"
    TIME = "time"
    SIGNATURE = "signature"


def secret_of(text: str) -> bytes:
    """The key that `whsec_<base64>` stands for; ValueError says what is wrong, never the secret."""
    if not text.startswith(_PREFIX):
        raise ValueError(f"a webhook secret begins with {_PREFIX}")
    try:
        key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(f"a webhook secret is base64 after {_PREFIX}") from None
    if not SECRET_BYTES_MIN <= len(key) <= SECRET_BYTES_MAX:
        raise ValueError(f"a webhook secret has {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes")
    return key


def sign(secret: bytes, webhook_id: str, unix_s: int | str, body: bytes) -> str:
    """The signature of a call, as it stands in `webhook-signature`."""
    signed = f"{webhook_id}.{unix_s}.".encode() + body
    return _VERSION + base64.b64encode(hmac.digest(secret, signed, sha256)).decode()


def verify(
    secrets: Sequence[bytes], webhook_id: str, timestamp: str, signatures: str, body: bytes, now_s: float
) -> Unsigned | None:
    """None where one of the signatures was made with one of the secrets over these bytes, in time; else what is wrong.

    Every pair is compared, in constant time: how long it takes tells nothing.
    """
    if not _ID.fullmatch(webhook_id) or not _UNIX_S.fullmatch(timestamp):
        return Unsigned.HEADERS
    given = signatures.split(" ")
    if not signatures or len(given) > SIGNATURES_MAX:
        return Unsigned.HEADERS
    wanted = [sign(secret, webhook_id, timestamp, body).encode() for secret in secrets]
    matches = [hmac.compare_digest(one.encode("utf-8", "replace"), other) for one in given for other in wanted]
    if not any(matches):
        return Unsigned.SIGNATURE
    return Unsigned.TIME if abs(now_s - int(timestamp)) > TOLERANCE_S else None
