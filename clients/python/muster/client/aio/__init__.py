"""The asynchronous client, of which the other one is made by generate.py."""

from muster.client.aio.approving import Approving
from muster.client.aio.crediting import Crediting
from muster.client.aio.importing import Importing
from muster.client.aio.listing import Listing
from muster.client.aio.messaging import Messaging
from muster.client.aio.operating import Operating
from muster.client.aio.scheduling import Scheduling
from muster.client.aio.sending import Sending
from muster.client.aio.templating import Templating


class AsyncMuster(Crediting, Sending, Messaging, Scheduling, Operating, Importing, Listing, Templating, Approving):
    """The API as one caller sees it, for programs that wait for many things at once."""


__all__ = ["AsyncMuster"]
