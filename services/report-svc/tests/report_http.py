"""What the tests of report-svc's API share: who calls, and how."""

from typing import Any
from uuid import uuid4

import httpx

from muster.events import NIL_TENANT
from muster.kit.auth import Caller, Role
from muster.kit.pg import Database
from muster.kit.testing import apply
from muster.kit.tokens import TokenRefused
from muster.report.handlers import HANDLERS

KEY = bytes(range(32))
TENANT, OTHER = uuid4(), uuid4()
CALLERS = {
    "operator": Caller(NIL_TENANT, "op", Role.OPERATOR, ""),
    "admin": Caller(TENANT, "ada", Role.ADMIN, "", country="AU"),
    "staff": Caller(TENANT, "sam", Role.STAFF, ""),
    "other": Caller(OTHER, "ole", Role.ADMIN, ""),
}
NUMBERS = [61491570156, 61491570157, 61491570158]


class Verifier:
    async def verify(self, token: str) -> Caller:
        if token not in CALLERS:
            raise TokenRefused("unknown")
        return CALLERS[token]


async def hear(db: Database, *messages: Any) -> None:
    for message in messages:
        await apply(db, HANDLERS[message.DESCRIPTOR.name], message)


def by(caller: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {caller}"}


async def get(http: httpx.AsyncClient, path: str, caller: str = "admin", **params: Any) -> Any:
    answer = await http.get(path, params=params, headers=by(caller))
    assert answer.status_code == 200, answer.text
    return answer.json()
