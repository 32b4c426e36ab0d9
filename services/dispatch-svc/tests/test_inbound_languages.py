"""What people write with the national tables of their phones (3GPP TS 23.038, annex A)."""

import dispatch_world as world
from dispatch_world import REPLY_NUMBER, Running, Send

from muster.kit.pg import Database
from muster.kit.testing import eventually
from muster.local.carrier.deliveries import Inbound
from muster.local.carrier.server import Carrier
from muster.smpp import Deliver


async def is_bound(running: Running) -> bool:
    return running.sender.link.session is not None


async def test_what_people_write_with_the_tables_of_their_language_is_read_with_them(
    db: Database, carrier: Carrier
) -> None:
    await world.queue(db, Send(recipients=10))
    async with world.sending(db, world.settings(carrier_port=carrier.port), feed=False) as running:
        await eventually(lambda: is_bound(running))
        [account] = carrier.accounts.values()
        for header, octets in [
            ("03 25 01 01", b"Te\x1dekk\x7erler, yar\x07n"),  # Turkish, locking
            ("03 24 01 02", b"Ma\x7dana, est\x1ba bien"),  # Spanish, single shift
            ("0b 00 03 07 02 01 25 01 03 24 01 03", b"Voc\x1b"),  # Portuguese, both; an escape at the end of a part
            ("0b 00 03 07 02 02 25 01 03 24 01 03", b"\x05 vem amanh{"),
            ("08 00 03 08 02 01 25 01 03", b"N{o"),  # of which the rest never comes
        ]:
            ends = (0, "61411000003", REPLY_NUMBER.removeprefix("+"))
            part = Inbound(Deliver(*ends, bytes.fromhex(header) + octets, esm_class=0x40))
            account.deliver([part])
            assert await part.answer == 0
        async with db.worker() as tx:
            await tx.execute("UPDATE inbound_part SET received_at = received_at - interval '121 seconds'")
        await running.sender.inbox.take_late()

        texts = [said.text for said in await world.said(db, "SmsReceived")]
        assert texts == ["Teşekkürler, yarın", "Mañana, está bien", "Você vem amanhã", "Não […]"]
