"""What an operator asks of carriers and routes."""

from collections.abc import Mapping
from typing import Any, Protocol, cast
from urllib.parse import quote


class Calls(Protocol):
    """Who makes the calls: the client."""

    def get(self, path: str) -> Any:
        """The JSON of a GET."""

    def post(self, path: str, body: object = None) -> Any:
        """The JSON of a POST."""

    def patch(self, path: str, body: object) -> Any:
        """The JSON of a PATCH."""

    def delete(self, path: str) -> Any:
        """The JSON of a DELETE."""


class Operating:
    """Carriers and routes."""

    # Carriers, as the operator

    def carrier(self: Calls, account: str) -> dict[str, Any]:
        """A carrier account and how it stands; never its password."""
        return cast(dict[str, Any], self.get(_carrier_path(account)))

    def create_carrier(self: Calls, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make an account: {"account", "smpp": {"host", "system_id", …}, "password", …}."""
        return cast(dict[str, Any], self.post("/v1/carriers", body))

    def change_carrier(self: Calls, account: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change an account; what is left out stays, its password too."""
        return cast(dict[str, Any], self.patch(_carrier_path(account), changes))

    def control_carrier(self: Calls, account: str, act: str, reason: str = "") -> dict[str, Any]:
        """`drain`, `open` or `close` an account."""
        return cast(dict[str, Any], self.post(_carrier_path(account, act), {"reason": reason}))

    def test_carrier(self: Calls, account: str, *, to: str, sender: str, text: str) -> dict[str, Any]:
        """Try an account with one real message; `carrier_test` says what became of it."""
        return cast(
            dict[str, Any], self.post(_carrier_path(account, "tests"), {"to": to, "sender": sender, "text": text})
        )

    def carrier_test(self: Calls, account: str, test_id: str) -> dict[str, Any]:
        """What became of a test message."""
        return cast(dict[str, Any], self.get(_carrier_path(account, "tests", segment(test_id))))

    # Routes, as the operator

    def route(self: Calls, name: str) -> dict[str, Any]:
        """A route: what it takes, and the accounts that it leads to."""
        return cast(dict[str, Any], self.get(_route_path(name)))

    def create_route(self: Calls, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make a route: {"route", "accounts": [{"account", "weight"}], "countries", "senders", "failover", "open"}."""
        return cast(dict[str, Any], self.post("/v1/routes", body))

    def change_route(self: Calls, name: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change a route; what is left out stays."""
        return cast(dict[str, Any], self.patch(_route_path(name), changes))

    def delete_route(self: Calls, name: str) -> dict[str, Any]:
        """Lead nothing by a route any more; as it was."""
        return cast(dict[str, Any], self.delete(_route_path(name)))

    def test_route(self: Calls, *, to: str, sender: str, parts: int = 1) -> dict[str, Any]:
        """Which account a message would go by, and why; nothing is sent."""
        return cast(dict[str, Any], self.post("/v1/routes/test", {"to": to, "sender": sender, "parts": parts}))


def _carrier_path(account: str, *below: str) -> str:
    return "/".join(("/v1/carriers", segment(account), *below))


def _route_path(name: str) -> str:
    return "/".join(("/v1/routes", segment(name)))


def segment(given: str) -> str:
    """One segment of a path, whatever it holds."""
    return quote(encodable(given), safe="") or "-"


def encodable(text: str) -> str:
    """A text without the halves of characters that arguments hold which are not UTF-8."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
