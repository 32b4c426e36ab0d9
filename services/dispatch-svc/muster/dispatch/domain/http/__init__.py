"""HTTP carriers: how each kind is spoken to. A new one is a module with the functions of `Adapter`, and a line here."""

from typing import Final

from muster.dispatch.domain.http import generic, messagemedia, sinch, twilio, vonage
from muster.dispatch.domain.http.model import Adapter, Http

ADAPTERS: Final[dict[str, Adapter]] = {
    "generic": generic,
    "twilio": twilio,
    "vonage": vonage,
    "sinch": sinch,
    "messagemedia": messagemedia,
}
MIXED: Final = frozenset(("messagemedia",))
"""Those that tell of receipts and of what people write at one address."""
SIGNED_BY_KEY: Final = frozenset(("messagemedia",))
"""Those of which a secret for callbacks is a public key, base64 as they give it."""


def adapter_of(http: Http) -> Adapter:
    """The adapter of a profile that was read by `read.read_http`."""
    return ADAPTERS[http.adapter]
