"""The simulator itself: takes submits, decides their fate, answers, sends receipts."""

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, Self

from muster.local.carrier import odd, queries
from muster.local.carrier.account import Account
from muster.local.carrier.behaviour import GOOD, Behaviour, Fate
from muster.local.carrier.control import Control
from muster.local.carrier.deliveries import Delivery, Receipt
from muster.local.carrier.http import HttpFront
from muster.local.carrier.link import Link
from muster.local.carrier.options import CarrierOptions
from muster.local.carrier.stats import Stats
from muster.smpp import ReceiptState, Submit, encode
from muster.smpp.codec import encode_submit_resp
from muster.smpp.pdu import Bind, Query
from muster.smpp.status import ESME_RBINDFAIL, ESME_RINVPASWD, ESME_RINVSYSID, ESME_ROK, NOT_SENT_STATUSES

_DUPLICATE_AFTER_S: Final = 0.05
# Ids of what others have sent.
_STRANGE: Final = 10**16
# registered_delivery, bits 1 and 0: 1 wants a receipt of any end, 2 of a failure.
_RECEIPT_BITS: Final = 0x03
_RECEIPT_OF_ANY_END: Final = 1


class Carrier:
    """`async with Carrier(options) as carrier`: serving on `port` and `control_port` until the end of the block."""

    def __init__(self, options: CarrierOptions) -> None:
        self.options = options
        self.stats = Stats()
        self.links: set[Link] = set()
        self.accounts: dict[str, Account] = {}
        self.port = 0
        self.http_port = 0
        self.control_port = 0
        self.paused = False
        self.behaviour = Behaviour(options)
        self._held: list[Callable[[], None]] = []
        self._next_id = options.first_id or time.time_ns() // 1000
        self._serial = self._binds = 0
        self._until_disconnect = options.disconnect_every
        self._servers: list[asyncio.Server] = []
        self._control = Control(self)
        self.http = HttpFront(self)
        self._going = asyncio.Event()
        self._going.set()

    async def __aenter__(self) -> Self:
        loop, options = asyncio.get_running_loop(), self.options
        smpp = await loop.create_server(lambda: Link(self), options.host, options.port, backlog=256, ssl=_tls(options))
        control = await asyncio.start_server(self._control.serve, options.host, options.control_port)
        self._servers = [smpp, control]
        self.port, self.control_port = (server.sockets[0].getsockname()[1] for server in self._servers)
        if options.http_port >= 0:
            http = await asyncio.start_server(self.http.serve, options.host, options.http_port, backlog=256)
            self._servers.append(http)
            self.http_port = http.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in self._servers:
            server.close()
        for link in list(self.links):
            link.reset()
        self._control.close()
        await self.http.close()
        for account in self.accounts.values():
            account.forget()
        # A turn for the connections to be told; waiting for every handler of the control port could take for ever.
        await asyncio.sleep(0)

    # -- what links ask ---------------------------------------------------------------------------------------------

    def admit(self, bind: Bind) -> int:
        """command_status of a bind."""
        self._binds += 1
        if self.behaviour.refuses_bind(self._binds):
            return ESME_RBINDFAIL
        if self.options.system_id and bind.system_id != self.options.system_id:
            return ESME_RINVSYSID
        return ESME_ROK if bind.password == self.options.password else ESME_RINVPASWD

    def next_serial(self) -> int:
        """Rising with each bind."""
        self._serial += 1
        return self._serial

    def account(self, system_id: str) -> Account:
        """The account of this name, made when first seen."""
        account = self.accounts.get(system_id)
        if account is None:
            account = self.accounts[system_id] = Account(self.options, self.stats)
            account.paused = self.paused
        return account

    def take(self, link: Link, account: Account, submits: list[Submit]) -> None:
        """All submits of one read: judged, answered in one write, their receipts planned together."""
        stats, judge, hexadecimal = self.stats, self.behaviour.judge, self.options.id_format == "hex"
        now = stats.saw_submits(len(submits))
        responses: list[bytes] = []
        receipts: list[Delivery] = []
        for submit in submits:
            fate = judge(submit.destination)
            if fate.status:
                self._refuse(submit, fate.status, responses)
                continue
            number = self._next_id
            self._next_id = number + 1
            stats.accept(number, now, submit)
            if fate.id_repeated:
                stats.ids_repeated += 1
                number -= 1
            if fate is GOOD and submit.registered_delivery & _RECEIPT_BITS == _RECEIPT_OF_ANY_END:
                receipts.append(Receipt(submit, number, fate.state))
            else:
                self._plan_receipt(account, submit, number, fate, receipts)
            if fate.response_lost:
                stats.responses_lost += 1
            else:
                responses.append(
                    encode_submit_resp(submit.sequence, 0, b"%x" % number if hexadecimal else b"%d" % number)
                )
            if self._until_disconnect and self._is_disconnected():
                link.reset()
                break  # what was read after it never arrived, and what was to be answered never leaves
        else:
            if responses and (self.options.odd_ratio or self.options.garbage_every):
                responses[-1] += self._odd(submits)
            self._respond(link, responses)
        if receipts:
            self._later(self.options.receipt_delay_ms / 1000, account.deliver, receipts)

    def _odd(self, submits: list[Submit]) -> bytes:
        """What comes behind the answers to these, that nobody asked for."""
        stats, said = self.stats, b""
        for submit in submits:
            oddity = self.behaviour.oddity(stats.submits * len(submits) + submit.sequence)
            if oddity is not None:
                stats.odd += 1
                said += odd.beside(submit.sequence, oddity)
        every = self.options.garbage_every
        if every and stats.accepted // every > stats.garbage:
            said += odd.garbage(stats.garbage)
            stats.garbage += 1
        return said

    def answer_query(self, link: Link, query: Query) -> None:
        """query_sm: like any answer, late or held where answers are."""
        answer = queries.answer(self, query)
        if answer is not None:
            octets = encode(answer)
            self._when_answered(lambda: link.write(octets))

    def take_one(self, submit: Submit) -> tuple[Fate, int, bool]:
        """A message by HTTP: its fate, its id if it was accepted, and whether its connection is to be reset."""
        now, fate = self.stats.saw_submits(1), self.behaviour.judge(submit.destination)
        if fate.status:
            self._count_refused(fate.status)
            return fate, 0, False
        number = self._next_id
        self._next_id = number + 1
        self.stats.accept(number, now, submit)
        self.stats.responses_lost += fate.response_lost
        return fate, number, self._is_disconnected()

    def _count_refused(self, status: int) -> None:
        if status in NOT_SENT_STATUSES:
            self.stats.throttled += 1
        else:
            self.stats.rejected += 1

    def _is_disconnected(self) -> bool:
        """Whether the connection of the message that was just accepted is to be reset."""
        self._until_disconnect -= bool(self._until_disconnect)
        if not self.options.disconnect_every or self._until_disconnect:
            return False
        self._until_disconnect = self.options.disconnect_every
        self.stats.disconnects += 1
        return True

    async def until_answered(self) -> None:
        """What delays an answer by HTTP: the delay of responses, and a pause."""
        if self.options.response_delay_ms:
            await asyncio.sleep(self.options.response_delay_ms / 1000)
        await self._going.wait()

    def _refuse(self, submit: Submit, status: int, responses: list[bytes]) -> None:
        self._count_refused(status)
        responses.append(encode_submit_resp(submit.sequence, status, b""))

    def _plan_receipt(
        self, account: Account, submit: Submit, number: int, fate: Fate, receipts: list[Delivery]
    ) -> None:
        wanted = submit.registered_delivery & _RECEIPT_BITS
        if not wanted or (wanted != _RECEIPT_OF_ANY_END and fate.state is GOOD.state):
            return
        if fate.receipt_alien:
            self.stats.receipts_alien += 1
            stranger = replace(submit, destination=f"61499{submit.destination[-6:]}")
            receipts.append(Receipt(stranger, number + _STRANGE, ReceiptState.UNDELIVERABLE))
        if fate.receipt_lost:
            self.stats.receipts_lost += 1
            return
        delay_s = self.options.receipt_delay_ms / 1000 + fate.reorder_s
        if fate.receipt_twice:
            self.stats.receipts_repeated += 1
            self._later(delay_s + _DUPLICATE_AFTER_S, account.deliver, [Receipt(submit, number, fate.state)])
        if fate.reorder_s:
            self.stats.receipts_reordered += 1
            self._later(delay_s, account.deliver, [Receipt(submit, number, fate.state)])
        else:
            receipts.append(Receipt(submit, number, fate.state))

    def _respond(self, link: Link, responses: list[bytes]) -> None:
        def send() -> None:
            self.stats.responses += len(responses)
            link.write(b"".join(responses))

        self._when_answered(send)

    def _when_answered(self, send: Callable[[], None]) -> None:
        if self.options.response_delay_ms:
            self._later(self.options.response_delay_ms / 1000, self._unless_paused, send)
        else:
            self._unless_paused(send)

    def _unless_paused(self, act: Callable[[], None]) -> None:
        if self.paused:
            self._held.append(act)
        else:
            act()

    def _later(self, delay_s: float, act: Callable[..., None], *arguments: object) -> None:
        asyncio.get_running_loop().call_later(delay_s, act, *arguments)

    # -- what the control port asks -----------------------------------------------------------------------------------

    def use(self, options: CarrierOptions) -> None:
        """Change options while running."""
        if options.disconnect_every != self.options.disconnect_every:
            self._until_disconnect = options.disconnect_every
        self.options = options
        self.behaviour.use(options)
        for account in self.accounts.values():
            account.use(options, self.stats)

    def reset(self) -> None:
        """Count from 0, forget messages and what waits to be delivered. Binds and options stay."""
        self.stats = Stats()
        self.behaviour.forget()
        for account in self.accounts.values():
            account.forget()
        self.use(self.options)

    def pause(self) -> None:
        """Answer nothing and deliver nothing; submits are still taken."""
        self._set_paused(paused=True)

    def resume(self) -> None:
        """Send what was held."""
        self._set_paused(paused=False)
        held, self._held = self._held, []
        for act in held:
            act()
        for account in self.accounts.values():
            account.pump()

    def _set_paused(self, *, paused: bool) -> None:
        self.paused = paused
        if paused:
            self._going.clear()
        else:
            self._going.set()
        for account in self.accounts.values():
            account.paused = paused

    def disconnect(self) -> int:
        """Reset every connection; how many."""
        links = list(self.links)
        self.stats.disconnects += len(links)
        for link in links:
            link.reset()
        return len(links) + self.http.reset()

    def report(self, *, destinations: bool) -> dict[str, Any]:
        """What GET /stats shows."""
        return {
            "binds": sum(len(account.links) for account in self.accounts.values()),
            "submits_by_bind": [
                link.submits for link in sorted(self.links, key=lambda link: link.serial) if link.account
            ],
            "deliveries_waiting": sum(account.waiting for account in self.accounts.values()),
            "cpu_s": time.process_time(),
            **self.stats.report(destinations=destinations),
        }


def _tls(options: CarrierOptions) -> ssl.SSLContext | None:
    if not options.tls_certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.tls_certificate, options.tls_key or None)
    return context
