"""Which service answers which path: the one table behind the public URL, on a laptop and in a cluster alike.

A pattern's `{name}` is one segment; a final `/**` is the path itself and all below it. The first match wins.
"""

import re
from dataclasses import dataclass

from muster.laws import result

SERVICES = result.SERVICES
PAGES = "console"
"""Who answers people: every path that is not the API's."""
API = ("/v1", "/.well-known", "/o")
"""Below these a path that nobody owns is answered as a machine expects: with a problem document."""
BELOW = r"(/[\s\S]*)?"
"""Whatever is below a path, as a regular expression: a name may hold a line break too."""


@dataclass(frozen=True)
class Route:
    """A pattern of paths and the service that owns them."""

    pattern: str
    service: str

    @property
    def regex(self) -> str:
        """The pattern as a regular expression of the whole path (RE2 and Python)."""
        below = self.pattern.endswith("/**")
        literal = re.escape(self.pattern.removesuffix("/**"))
        return "^" + re.sub(r"\\{\w+\\}", "[^/]+", literal) + (f"{BELOW}$" if below else "$")


ROUTES = (
    Route("/.well-known/jwks.json", "tenant"),
    Route("/v1/token", "tenant"),
    Route("/v1/tenants/**", "tenant"),
    Route("/v1/tenant/**", "tenant"),
    Route("/v1/users/**", "tenant"),
    Route("/v1/api-keys/**", "tenant"),
    Route("/v1/audit/**", "tenant"),
    Route("/v1/sessions/**", "tenant"),
    Route("/v1/links/**", "tenant"),
    Route("/v1/me/**", "tenant"),
    Route("/v1/roles", "tenant"),
    Route("/v1/password-resets", "tenant"),
    # One bulk SMS is served by three: who controls the carrier, who has a row for each SMS, who took the request.
    Route("/v1/bulk-sms/{id}/stop", "dispatch"),
    Route("/v1/bulk-sms/{id}/pause", "dispatch"),
    Route("/v1/bulk-sms/{id}/resume", "dispatch"),
    Route("/v1/bulk-sms/{id}/unknown", "dispatch"),
    Route("/v1/bulk-sms/{id}/progress", "report"),
    Route("/v1/messages/{id}/stop", "dispatch"),
    Route("/v1/bulk-sms/**", "customer"),
    Route("/v1/messages", "customer"),
    Route("/v1/messages/{id}", "report"),
    Route("/v1/customers/**", "customer"),
    Route("/v1/erasures/**", "customer"),
    Route("/v1/own-fields/**", "customer"),
    Route("/v1/searches/**", "customer"),
    Route("/v1/lists/**", "customer"),
    Route("/v1/suppressions/**", "customer"),
    Route("/v1/frequency-cap", "customer"),
    Route("/v1/notices", "customer"),
    Route("/v1/approvals/**", "customer"),
    Route("/v1/approval-rule", "customer"),
    Route("/v1/test-messages", "customer"),
    Route("/v1/test-numbers/**", "customer"),
    Route("/v1/templates/**", "customer"),
    Route("/v1/quotes/**", "customer"),
    Route("/v1/schedules/**", "customer"),
    Route("/v1/closed-days/**", "customer"),
    Route("/o/{token}", "customer"),
    Route("/v1/credits/**", "credit"),
    Route("/v1/rates/**", "credit"),
    Route("/v1/carriers/**", "dispatch"),
    Route("/v1/routes/**", "dispatch"),
    Route("/v1/senders/**", "dispatch"),
    Route("/v1/receipts/{carrier}", "dispatch"),
    Route("/v1/inbound/{carrier}", "dispatch"),
    Route("/v1/replies/**", "reply"),
    Route("/v1/conversations/**", "reply"),
    Route("/v1/reports/**", "report"),
    Route("/v1/webhooks/**", "report"),
    *(Route(f"/v1/ops/{service}/**", service) for service in SERVICES),
)


def owner(path: str) -> str | None:
    """The service that owns `path`; None where nobody does."""
    return next((route.service for route in ROUTES if re.match(route.regex, path)), None)
