"""Where Muster is and as whom to speak to it; when a call is repeated, and what an answer means."""

import json
import os
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import httpx

from muster.client import profiles
from muster.client.errors import ApiError, NotConnected
from muster.client.paths import encodable
from muster.client.profiles import Profile

TIMEOUT_S: Final = 30.0
TRIES_MAX: Final = 4
TOKEN_MARGIN_S: Final = 30.0
RETRY_AFTER_S_MAX: Final = 30.0
"""A server that asks for more patience is not waited for: the caller hears when it may be asked again."""
_FIRST_PAUSE_S: Final = 0.5
_PASSING: Final = (429, 502, 503, 504)
_SAFE: Final = ("GET", "HEAD")

Query = str | int | list[str] | None


@dataclass(frozen=True, slots=True)
class Connection:
    """Where Muster is and as whom to speak to it."""

    url: str
    client_id: str = ""
    client_secret: str = ""
    session_token: str = ""

    @classmethod
    def of(cls, profile: Profile) -> Self:
        """As somebody who has signed in."""
        return cls(profile.url, profile.client_id, profile.client_secret, profile.session_token)

    @classmethod
    def from_environment(cls, *, operator: bool | None = False, second: bool = False) -> Self:
        """`MUSTER_URL`, `MUSTER_CLIENT_ID`, `MUSTER_CLIENT_SECRET`; else the profile `MUSTER_PROFILE`; else, where
        `MUSTER_VAR` does not say which local Muster is meant, the profile of the last `muster login`; else `run.json`
        of a local Muster: its first tenant, its operator, or its second operator, who confirms what one alone may not.
        A profile is taken that is an operator's or, as asked, is not; with None, whosever it is.

        NotConnected says what is missing.
        """
        names = ("MUSTER_URL", "MUSTER_CLIENT_ID", "MUSTER_CLIENT_SECRET")
        given = [os.environ.get(name, "") for name in names]
        if all(given):
            return cls(*given)
        if name := profiles.chosen_name():
            return cls.of(profiles.named(name))
        if not os.environ.get("MUSTER_VAR") and not second and (found := profiles.current(operator=operator)):
            return cls.of(found)
        path = Path(os.environ.get("MUSTER_VAR") or "var") / "run.json"
        try:
            run = json.loads(path.read_text(encoding="utf-8"))
            if not (operator or second) and not run["tenants"]:
                raise NotConnected(f"{path} names no tenant yet")
            who = run["second_operator"] if second else run["operator"] if operator else run["tenants"][0]
            return cls(given[0] or run["url"], given[1] or who["client_id"], given[2] or who["client_secret"])
        except FileNotFoundError as error:
            how = f"`muster login`, or set {', '.join(names)}, or run Muster here (`make run` writes {path})"
            raise NotConnected(f"nobody is signed in: {how}") from error
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise NotConnected(f"{path} is not what `make run` writes ({type(error).__name__}: {error})") from error


def grant(connection: Connection) -> dict[str, str]:
    """What a token is asked for with."""
    if connection.session_token:
        return {"grant_type": "refresh_token", "refresh_token": encodable(connection.session_token)}
    client_id, client_secret = encodable(connection.client_id), encodable(connection.client_secret)
    return {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}


def params_of(query: Mapping[str, Query]) -> httpx.QueryParams | None:
    """Members of a query that are given, None where none is: a path keeps what it has itself. A list is one member for
    each of its values."""
    given: list[tuple[str, str | int | float | bool | None]] = [
        (name, encodable(str(one)))
        for name, value in query.items()
        if value is not None
        for one in (value if isinstance(value, list) else [value])
    ]
    return httpx.QueryParams(given) if given else None


def pause_s(attempt: int, method: str, headers: Mapping[str, str], response: httpx.Response | None) -> float | None:
    """How long to wait before a call is made again; None where its answer stands, or where to repeat it may do
    something twice.

    attempt: how often it was made, from 1. response: None where there was no answer. A server's Retry-After is kept
    to; else the pause doubles, and is drawn by chance from the upper half, so that many do not come back at once.
    """
    if response is not None and response.status_code not in _PASSING:
        return None
    if attempt >= TRIES_MAX or not (method in _SAFE or "Idempotency-Key" in headers):
        return None
    wanted = retry_after_s(response)
    if wanted is not None:
        return wanted if wanted <= RETRY_AFTER_S_MAX else None
    return _FIRST_PAUSE_S * float(2 ** (attempt - 1)) * random.uniform(0.5, 1.0)


def retry_after_s(response: httpx.Response | None) -> float | None:
    """The seconds of an answer's Retry-After, where it has some."""
    given = "" if response is None else response.headers.get("Retry-After", "")
    return float(given) if given.isascii() and given.isdigit() and len(given) < 8 else None


def content_of(response: httpx.Response) -> Any:
    """The JSON of an answer, None where it has no content; ApiError for a refusal, and for what is no answer of
    ours."""
    if response.is_success and not response.content:
        return None
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if response.is_success and isinstance(answer, dict):
        return answer
    nothing_of_ours = {"title": response.reason_phrase, "detail": f"not an answer of Muster: {response.text[:200]}"}
    problem = answer if isinstance(answer, dict) else nothing_of_ours
    trace_id, path = response.headers.get("X-Trace-Id", ""), response.request.url.path
    raise ApiError(response.status_code, problem, retry_after_s(response), trace_id, path)
