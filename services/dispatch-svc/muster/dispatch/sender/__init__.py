"""The sender process: one carrier account, from the claim of a chunk to the receipt of its last message."""

from collections.abc import Coroutine
from typing import Any

from muster.dispatch.domain.carriers import Account
from muster.dispatch.failpoint import Failpoint
from muster.dispatch.sender.book import Book
from muster.dispatch.sender.deliveries import JOIN_EVERY_S, Deliveries
from muster.dispatch.sender.feeder import Feeder
from muster.dispatch.sender.http_link import HttpLink
from muster.dispatch.sender.inbound import Inbox
from muster.dispatch.sender.judge import EVERY_S as JUDGE_EVERY_S
from muster.dispatch.sender.kinds import link_to
from muster.dispatch.sender.link import Ears
from muster.dispatch.sender.mailbox import EVERY_S as MAILBOX_S
from muster.dispatch.sender.mailbox import Mailbox
from muster.dispatch.sender.meter import EVERY_S as METER_EVERY_S
from muster.dispatch.sender.meter import say_rate
from muster.dispatch.sender.querier import EVERY_S as QUERIER_S
from muster.dispatch.sender.querier import Querier
from muster.dispatch.sender.rate import Rate
from muster.dispatch.sender.recorder import Recorder
from muster.dispatch.sender.resolver import EVERY_S, Resolver
from muster.dispatch.sender.shared import Shared
from muster.dispatch.sender.smpp_link import SmppLink
from muster.dispatch.settings import DispatchSettings
from muster.kit import clock
from muster.kit.pg import Database
from muster.kit.repeat import repeat

__all__ = ["Sender"]


class Sender:
    """The parts of a sender, wired. `load` first; the feeder runs only when suppressions are known."""

    def __init__(self, db: Database, settings: DispatchSettings, account: Account) -> None:
        self.shared = Shared(
            db=db,
            settings=settings,
            account=account,
            rate=Rate(account.parts_per_second, clock.monotonic()),
            failpoint=Failpoint(settings.failpoint),
        )
        self.book = Book(settings.dispatch_ids_kept_s, settings.dispatch_waiting_kept_s)
        self.resolver = Resolver(self.shared)
        self.inbox = Inbox(self.shared)
        self.deliveries = Deliveries(self.shared, self.book, self.resolver, self.inbox)
        ears = Ears(
            on_deliver=self.deliveries.on_deliver,
            on_reports=self.deliveries.on_reports,
            on_late=self.resolver.on_late,
            on_change=self.shared.feed.set,
        )
        self.link = self.inbox.link = link_to(self.shared, ears)
        self.deliveries.whole = self.link.whole
        self.mailbox = Mailbox(self.shared, ears)
        self.feeder = Feeder(self.shared, self.link, self.book)
        self.recorder = Recorder(self.shared, self.resolver)
        asker = self.link if isinstance(self.link, SmppLink | HttpLink) else None
        self.querier = Querier(self.shared, asker, self.deliveries, self.resolver) if asker else None

    async def load(self) -> None:
        """Remember the carrier ids of the last hour."""
        await self.deliveries.load()

    def carrier(self) -> tuple[tuple[str, Coroutine[Any, Any, object]], ...]:
        """Everything but the feeder, to be supervised."""
        by_call = self.shared.account.kind == "http"
        mailbox = (("mailbox", repeat("mailbox", MAILBOX_S, self.mailbox.take)),) if by_call else ()
        asks = self.querier if self.querier is not None and self.querier.asks else None
        querier = (("querier", repeat("querier", QUERIER_S, asks.step)),) if asks is not None else ()
        return (
            *mailbox,
            *querier,
            ("link", self.link.run()),
            ("recorder", self.recorder.run()),
            ("watch", self.recorder.watch()),
            ("resolver", repeat("resolver", EVERY_S, self.resolver.flush)),
            ("joiner", repeat("joiner", JOIN_EVERY_S, self.deliveries.join)),
            ("judge", repeat("judge", JUDGE_EVERY_S, lambda: self.shared.judge.pause_ailing(self.shared.db))),
            ("meter", repeat("meter", METER_EVERY_S, lambda: say_rate(self.shared))),
            ("receipts", self.deliveries.until_broken()),
            ("late-parts", repeat("late-parts", self.shared.settings.dispatch_parts_look_s, self.inbox.take_late)),
        )

    async def close(self) -> None:
        """Write nothing more, wait for answers, record, and give the rest back."""
        await self.recorder.close(self.shared.settings.dispatch_stop_s)
