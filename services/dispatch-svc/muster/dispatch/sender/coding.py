"""From slots of a job to submit_sm."""

from typing import Final

from muster.dispatch.events import is_number
from muster.dispatch.sender.job import ERROR_LENGTH, Job, Window
from muster.smpp import Concat, Message, SubmitTemplate, build_udh
from muster.smpp.pdu import ESM_UDH
from muster.text import Encoding, TextRefused, encode_parts

_UCS2: Final = 8
_ALPHANUMERIC_TON: Final = 5
_INTERNATIONAL_TON: Final = 1
_ISDN_NPI: Final = 1


class Coded:
    """What is made once for all windows of a job: its template, and data_coding and parts of each of its texts, None
    where a text cannot be coded."""

    __slots__ = ("template", "texts")

    def __init__(self, template: SubmitTemplate) -> None:
        self.template = template
        self.texts: dict[int, tuple[int, list[bytes]] | None] = {}


def messages(job: Job, window: Window) -> tuple[list[int], list[Message]]:
    """submit_sm for the slots of a window, and which slots they are. A text that cannot be coded as it was priced is
    rejected here."""
    coded = job.kept
    if not isinstance(coded, Coded):
        coded = job.kept = Coded(_template(job))
    template, owners, wanted = coded.template, job.owners, job.recipients.parts
    slots: list[int] = []
    made: list[Message] = []
    numbers, index = job.texts.numbers, job.texts.index
    for slot in window.slots:
        at = owners[slot]
        found = _text(job, coded, index[at] if index else 0)
        if found is None or len(found[1]) != wanted[at]:
            job.reject(slot, ERROR_LENGTH)
            continue
        data_coding, payloads = found
        destination = b"%d" % numbers[at]
        slots.append(slot)
        if len(payloads) == 1:
            made.append(Message(template, destination, payloads[0], data_coding))
        else:
            made.append(Message(template, destination, _part(job, slot, payloads), data_coding, ESM_UDH))
    return slots, made


def _part(job: Job, slot: int, payloads: list[bytes]) -> bytes:
    reference, part, bits = job.reference(slot), job.part(slot), job.claimed.reference_bits
    return build_udh(Concat(reference, len(payloads), part + 1), bits) + payloads[part]


def _text(job: Job, coded: Coded, index: int) -> tuple[int, list[bytes]] | None:
    if index not in coded.texts:
        try:
            encoding, payloads = encode_parts(job.texts.texts[index], 16 if job.claimed.reference_bits == 16 else 8)
            coded.texts[index] = _UCS2 if encoding is Encoding.UCS2 else 0, payloads
        except TextRefused:
            coded.texts[index] = None
    return coded.texts[index]


def _template(job: Job) -> SubmitTemplate:
    sender = job.claimed.about.sender
    number = is_number(sender)
    return SubmitTemplate(
        sender.removeprefix("+") if number else sender,
        source_ton=_INTERNATIONAL_TON if number else _ALPHANUMERIC_TON,
        source_npi=_ISDN_NPI if number else 0,
        validity_period=job.claimed.valid_until.strftime("%y%m%d%H%M%S000+").encode(),
    )
