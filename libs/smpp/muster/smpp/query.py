"""query_sm: what has become of a message? For carriers that speak it, where no receipt came."""

import asyncio
from collections.abc import Callable

from muster.smpp.octets import c_octets
from muster.smpp.pdu import Query, QueryResp, plain_word

# -- octets -----------------------------------------------------------------------------------------------------------


def read_query(sequence: int, _status: int, body: bytes) -> Query:
    """ValueError where it is cut off."""
    message_id, rest = body.split(b"\0", 1)
    if len(rest) < 3:
        raise ValueError("query_sm is cut off")
    source = rest[2:].partition(b"\0")[0].decode("latin-1")
    return Query(sequence, message_id.decode("latin-1"), source, rest[0], rest[1])


def read_query_resp(sequence: int, status: int, body: bytes) -> QueryResp:
    """Whatever comes: a refusal often has no body, and one that is cut off names no state."""
    message_id, _, rest = body.partition(b"\0")
    final_date, _, last = rest.partition(b"\0")
    state, error = last[0] if last else 0, last[1] if len(last) > 1 else 0
    return QueryResp(sequence, status, plain_word(message_id), plain_word(final_date), state, error)


def query_body(pdu: Query) -> bytes:
    """What follows the header."""
    return c_octets(pdu.message_id) + bytes((pdu.source_ton, pdu.source_npi)) + c_octets(pdu.source)


def query_resp_body(pdu: QueryResp) -> bytes:
    """What follows the header."""
    return c_octets(pdu.message_id) + c_octets(pdu.final_date) + bytes((pdu.state, pdu.error))


# -- questions of a session -------------------------------------------------------------------------------------------


class Queries:
    """Questions that wait for their answers, by sequence."""

    def __init__(self, ask: Callable[[Query], None], next_sequence: Callable[[], int], timeout_s: float) -> None:
        self._ask = ask
        self._next_sequence = next_sequence
        self._timeout_s = timeout_s
        self._asked: dict[int, asyncio.Future[QueryResp | None]] = {}

    async def ask(self, message_id: str, source: str, source_ton: int, source_npi: int) -> QueryResp | None:
        """The carrier's answer; None where none comes, or only that it does not understand."""
        sequence = self._next_sequence()
        asked: asyncio.Future[QueryResp | None] = asyncio.get_running_loop().create_future()
        self._asked[sequence] = asked
        try:
            self._ask(Query(sequence, message_id, source, source_ton, source_npi))
            async with asyncio.timeout(self._timeout_s):
                return await asked
        except TimeoutError:
            return None
        finally:
            del self._asked[sequence]

    def answered(self, sequence: int, answer: QueryResp | None) -> bool:
        """Whether anybody had asked that; None: it was not understood."""
        asked = self._asked.get(sequence)
        if asked is None:
            return False
        if not asked.done():
            asked.set_result(answer)
        return True

    def forget(self) -> None:
        """No answer comes any more."""
        for sequence in self._asked:
            self.answered(sequence, None)
