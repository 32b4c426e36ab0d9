"""Asking a part whether it serves."""

import http.client
from collections.abc import Callable


def http_ok(port: int, path: str) -> Callable[[], str | None]:
    """A probe: None when GET 127.0.0.1:`port``path` answers 200, else the reason."""

    def probe() -> str | None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read(300).decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            return f"{type(error).__name__}: {error}"
        finally:
            connection.close()
        return None if answer.status == 200 else f"GET {path} answers {answer.status} {body}"

    return probe
