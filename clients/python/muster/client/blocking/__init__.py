# Made by generate.py.
"""The client that waits for each call."""

from muster.client.blocking.approving import Approving
from muster.client.blocking.crediting import Crediting
from muster.client.blocking.importing import Importing
from muster.client.blocking.listing import Listing
from muster.client.blocking.messaging import Messaging
from muster.client.blocking.operating import Operating
from muster.client.blocking.scheduling import Scheduling
from muster.client.blocking.sending import Sending
from muster.client.blocking.templating import Templating


class Muster(Crediting, Sending, Messaging, Scheduling, Operating, Importing, Listing, Templating, Approving):
    """The API as one caller sees it, one call after the other."""


__all__ = ["Muster"]
