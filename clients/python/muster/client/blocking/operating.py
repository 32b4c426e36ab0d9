# Made by generate.py.
"""What an operator asks of carriers and routes."""

from collections.abc import Mapping
from typing import Any, cast

from muster.client.blocking.calls import Calls
from muster.client.paths import segment


class Operating(Calls):
    """Carriers and routes."""

    # Carriers, as the operator

    def carrier(self, account: str) -> dict[str, Any]:
        """A carrier account and how it stands; never its password."""
        return cast(dict[str, Any], self.get(_carrier_path(account)))

    def create_carrier(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make an account: {"account", "smpp": {"host", "system_id", …}, "password", …}."""
        return cast(dict[str, Any], self.post("/v1/carriers", body))

    def change_carrier(self, account: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change an account; what is left out stays, its password too."""
        return cast(dict[str, Any], self.patch(_carrier_path(account), changes))

    def control_carrier(self, account: str, act: str, reason: str = "") -> dict[str, Any]:
        """`drain`, `open` or `close` an account."""
        return cast(dict[str, Any], self.post(_carrier_path(account, act), {"reason": reason}))

    def test_carrier(self, account: str, *, to: str, sender: str, text: str) -> dict[str, Any]:
        """Try an account with one real message; `carrier_test` says what became of it."""
        return cast(
            dict[str, Any], self.post(_carrier_path(account, "tests"), {"to": to, "sender": sender, "text": text})
        )

    def carrier_test(self, account: str, test_id: str) -> dict[str, Any]:
        """What became of a test message."""
        return cast(dict[str, Any], self.get(_carrier_path(account, "tests", segment(test_id))))

    # Routes, as the operator

    def route(self, name: str) -> dict[str, Any]:
        """A route: what it takes, and the accounts that it leads to."""
        return cast(dict[str, Any], self.get(_route_path(name)))

    def create_route(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make a route: {"route", "accounts": [{"account", "weight"}], "countries", "senders", "failover", "open"}."""
        return cast(dict[str, Any], self.post("/v1/routes", body))

    def change_route(self, name: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change a route; what is left out stays."""
        return cast(dict[str, Any], self.patch(_route_path(name), changes))

    def delete_route(self, name: str) -> dict[str, Any]:
        """Lead nothing by a route any more; as it was."""
        return cast(dict[str, Any], self.delete(_route_path(name)))

    def test_route(self, *, to: str, sender: str, parts: int = 1) -> dict[str, Any]:
        """Which account a message would go by, and why; nothing is sent."""
        return cast(dict[str, Any], self.post("/v1/routes/test", {"to": to, "sender": sender, "parts": parts}))


def _carrier_path(account: str, *below: str) -> str:
    return "/".join(("/v1/carriers", segment(account), *below))


def _route_path(name: str) -> str:
    return "/".join(("/v1/routes", segment(name)))
