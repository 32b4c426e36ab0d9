"""One account: its binds, and what waits to be delivered to it."""

import asyncio
import random
from collections import deque
from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING, Final

from muster.local.carrier.deliveries import Delivery, Inbound, ReceiptStyle
from muster.local.carrier.options import CarrierOptions
from muster.local.carrier.stats import Stats
from muster.smpp.status import ESME_ROK

if TYPE_CHECKING:
    from muster.local.carrier.link import Link

_ATTEMPTS_MAX: Final = 20
_RETRY_S: Final = 0.5
# What nobody takes is kept up to here; a carrier keeps nothing for ever either.
_WAITING_MAX: Final = 1_000_000


class Account:
    """Deliveries go out in order, on one of the account's binds with room, and again until they are answered well."""

    def __init__(self, options: CarrierOptions, stats: Stats) -> None:
        self._stats = stats
        self._random = random.Random(options.seed)
        self._queue: deque[Delivery] = deque()
        self.links: list[Link] = []
        self.paused = False
        self.use(options, stats)

    def use(self, options: CarrierOptions, stats: Stats) -> None:
        """From now on."""
        self._stats = stats
        self._bind_choice = options.receipt_bind
        self._window = options.deliver_window
        self._style = ReceiptStyle(options)

    @property
    def waiting(self) -> int:
        """Deliveries that are not on the wire."""
        return len(self._queue)

    @property
    def receivers(self) -> list["Link"]:
        """Binds that take deliver_sm, oldest first."""
        return [link for link in self.links if link.receives]

    def join(self, link: "Link") -> None:
        """A bind was accepted."""
        self.links.append(link)
        self.pump()

    def leave(self, link: "Link") -> None:
        """A bind is gone; what it had not answered goes to another."""
        if link in self.links:
            self.links.remove(link)
        self._queue.extendleft(reversed(link.unanswered.values()))
        link.unanswered.clear()
        self.pump()

    def deliver(self, deliveries: Iterable[Delivery]) -> None:
        """Take these, send what there is room for."""
        self._queue.extend(deliveries)
        self.pump()
        while len(self._queue) > _WAITING_MAX:
            self._queue.popleft()
            self._stats.receipts_dropped += 1

    def forget(self) -> None:
        """Drop all that waits."""
        self._queue.clear()

    def pump(self) -> None:
        """Fill the windows of the binds, in the order of preference, with one write for each."""
        if self.paused or not self._queue:
            return
        for link in self._preferred():
            room = min(self._window - len(link.unanswered), len(self._queue))
            if room > 0:
                self._send(link, room)

    def _preferred(self) -> list["Link"]:
        links = self.receivers
        if self._bind_choice == "newest":
            links.reverse()
        elif self._bind_choice == "random":
            self._random.shuffle(links)
        return links

    def _send(self, link: "Link", count: int) -> None:
        octets = bytearray()
        inbound = 0
        for _ in range(count):
            delivery = self._queue.popleft()
            sequence = link.next_sequence()
            link.unanswered[sequence] = delivery
            octets += delivery.encode(sequence, self._style)
            inbound += isinstance(delivery, Inbound)
        self._stats.inbound_sent += inbound
        self._stats.receipts_sent += count - inbound
        link.write(octets)

    def answered(self, delivery: Delivery, status: int) -> None:
        """A deliver_sm_resp came. Receipts that were refused come again; a refused inbound message is its sender's
        affair."""
        if isinstance(delivery, Inbound):
            self._stats.inbound_acked += status == ESME_ROK
            if not delivery.answer.done():
                delivery.answer.set_result(status)
            return
        if status == ESME_ROK:
            self._stats.receipts_acked += 1
            return
        self._stats.receipts_refused += 1
        delivery.attempts += 1
        if delivery.attempts < _ATTEMPTS_MAX:
            asyncio.get_running_loop().call_later(_RETRY_S, self.deliver, (delivery,))


def newest_receiver(accounts: Iterable[Account]) -> Account | None:
    """The account whose receiver bound last; None if nobody takes deliver_sm."""
    links = list(chain.from_iterable(account.receivers for account in accounts))
    newest = max(links, key=lambda link: link.serial, default=None)
    return newest.account if newest else None
