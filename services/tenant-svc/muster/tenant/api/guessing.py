"""How guessing is slowed: each attempt is counted in the database before it is looked at, for all replicas."""

from collections.abc import Awaitable, Callable
from hashlib import sha256
from hmac import new as hmac
from math import ceil
from typing import NoReturn

from fastapi import Request

from muster.kit import clock, metrics
from muster.kit.desk import Desk
from muster.kit.pg import Tx
from muster.kit.problems import Problem
from muster.tenant.api.opening import place
from muster.tenant.domain.sign_in import FREE_GUESSES, FREE_GUESSES_OF_PLACE, Guesses, guessed
from muster.tenant.settings import TenantSettings
from muster.tenant.store import sign_in as store

_GUESSED = "Wrong passwords were tried too often. Try again in {} s, or ask for a new password by e-mail."
_ASKED = "This was asked for too often from where you are. Try again in {} s."


async def count_guess(request: Request, email: str) -> list[bytes]:
    """Count a guess before it is compared, so that a hundred at once are a hundred; what it counts against.

    Who comes from where somebody of this address was signed in before has a count of their own: strangers who guess
    do not keep them out.
    """
    settings: TenantSettings = request.app.state.settings
    address = place(request).address

    async def limits(tx: Tx) -> dict[bytes, int]:
        known = await store.is_known_place(tx, email, address, clock.now() - settings.session_life)
        who = f"{email}\n{address}" if known else email
        return {_place(settings, address): FREE_GUESSES_OF_PLACE, _subject(settings, "who", who): FREE_GUESSES}

    return await _count(request, limits)


async def count_visit(request: Request) -> None:
    """Count what anybody may ask for without a password against where they are; Problem 429 `too_many_attempts`."""
    settings: TenantSettings = request.app.state.settings
    address = place(request).address

    async def limits(_: Tx) -> dict[bytes, int]:
        return {_place(settings, address): FREE_GUESSES_OF_PLACE}

    await _count(request, limits, _ASKED)


async def _count(
    request: Request, limits: Callable[[Tx], Awaitable[dict[bytes, int]]], why: str = _GUESSED
) -> list[bytes]:
    desk: Desk = request.app.state.desk
    now = clock.now()

    async def count(tx: Tx) -> tuple[list[bytes], int]:
        counted: dict[bytes, Guesses] = {}
        for subject, free in sorted((await limits(tx)).items()):
            after = guessed(await store.lock_guesses(tx, subject, now), now, free)
            if not isinstance(after, Guesses):
                return [], max(1, ceil(after.total_seconds()))
            counted[subject] = after
        for subject, guesses in counted.items():
            await store.put_guesses(tx, subject, guesses)
        return list(counted), 0

    subjects, wait_s = await desk.ask(count)
    if wait_s:
        _slow_down(why, wait_s)
    return subjects


def _place(settings: TenantSettings, address: str) -> bytes:
    return _subject(settings, "place", address)


def _slow_down(why: str, wait_s: int) -> NoReturn:
    metrics.sign_ins.labels("slowed").inc()
    problem = Problem(429, "too_many_attempts", "Too many attempts", why.format(wait_s), retry_after_s=wait_s)
    raise problem.with_headers({"Retry-After": str(wait_s)})


async def forgive(tx: Tx, subjects: list[bytes]) -> None:
    """The password was right: what was guessed before counts no more."""
    for subject in sorted(subjects):
        await store.forgive(tx, subject)


def _subject(settings: TenantSettings, kind: str, value: str) -> bytes:
    return hmac(settings.seal_secret, f"guesses\n{kind}\n{value}".encode("utf-8", "surrogatepass"), sha256).digest()
