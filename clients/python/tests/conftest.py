"""An API that answers the commands, with nothing behind it."""

from collections.abc import Callable
from types import ModuleType

import httpx
import pytest

from muster.client import Connection, Muster

Answer = Callable[[httpx.Request, str], httpx.Response]
Answering = Callable[..., None]


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Answering:
    """Let the commands of some modules be answered by a function of the request and its path; tokens are given."""

    def begin(answer: Answer, *modules: ModuleType) -> None:
        def respond(request: httpx.Request) -> httpx.Response:
            path = request.url.raw_path.decode().partition("?")[0]
            if path == "/v1/token":
                return httpx.Response(200, json={"access_token": "t", "expires_in": 900})
            return answer(request, path)

        def connected(_: object) -> Muster:
            return Muster(Connection("http://muster", "id", "secret"), transport=httpx.MockTransport(respond))

        for module in modules:
            monkeypatch.setattr(module, "Muster", connected)
        monkeypatch.setattr(Connection, "from_environment", lambda **_: None)

    return begin
