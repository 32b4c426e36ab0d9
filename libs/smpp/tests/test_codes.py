"""What a carrier means by its own codes."""

import asyncio
from typing import Any

from muster.smpp import Meaning, Message, NotSent, NotSentReason, Rejected, SubmitTemplate, Unknown, UnknownReason
from muster.smpp.pdu import SubmitResp

MESSAGE = Message(SubmitTemplate("61400000000"), b"61412340000", b"hello")


async def test_a_carrier_s_own_codes_mean_what_it_says_they_mean(carrier: Any, connect: Any) -> None:
    session = await connect(codes={0x401: Meaning.NOT_SENT, 0x08: Meaning.UNKNOWN, 0x58: Meaning.REJECTED})
    sending = asyncio.create_task(session.submit([MESSAGE] * 4))
    one, two, three, four = await carrier.submits(4)

    carrier.say(
        SubmitResp(one.sequence, 0x401),
        SubmitResp(two.sequence, 0x08),
        SubmitResp(three.sequence, 0x58),
        SubmitResp(four.sequence, 0x14),
    )

    assert await asyncio.wait_for(sending, 120) == [
        NotSent(NotSentReason.THROTTLED, 0x401),
        Unknown(UnknownReason.STATUS),
        Rejected(0x58),
        NotSent(NotSentReason.QUEUE_FULL, 0x14),
    ]
    assert (session.counts.throttled, session.counts.unknown, session.counts.rejected) == (2, 1, 1)
