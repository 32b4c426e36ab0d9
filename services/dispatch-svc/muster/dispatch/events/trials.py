"""A message that belongs to no send, in the shape of those that do."""

from muster.dispatch.events import halves
from muster.events.v1.recipients_pb2 import BulkRecipientsAttached


def trial(number: int, text: str, parts: int, reference_base: int, reference_bits: int) -> tuple[bytes, bytes]:
    """The halves of a chunk of one message, which belongs to no send."""
    return halves(
        BulkRecipientsAttached(
            text=[text],
            seq=[1],
            number=[number],
            number_hash=[b""],
            parts=[parts],
            price=[0],
            upto=[0],
            reference_base=reference_base,
            reference_bits=reference_bits,
        )
    )
