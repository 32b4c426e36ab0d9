"""From slots of a job to submit_sm, as the profile of an account wants them."""

from collections.abc import Sequence
from typing import NamedTuple

from muster.dispatch.domain.carriers import Long, Smpp
from muster.dispatch.events import is_number
from muster.dispatch.sender.job import ERROR_LENGTH, Job, Window
from muster.smpp import Concat, Message, SubmitTemplate, Tag, build_sar, build_udh
from muster.smpp.codec import encode_tlv
from muster.smpp.pdu import ESM_UDH
from muster.text import Encoding, TextRefused, encode_parts


class Submits(NamedTuple):
    """What goes out of a window: the slots in their order, and submit_sm. `spans`: the places in `slots` that each
    submit_sm stands for; None where each stands for one."""

    slots: list[int]
    messages: list[Message]
    spans: list[range] | None


def source_of(sender: str, profile: Smpp) -> tuple[str, int, int]:
    """A sender as the carrier knows it: address, type of number and numbering plan."""
    if is_number(sender):
        return sender.removeprefix("+"), profile.number_ton, profile.number_npi
    return sender, profile.name_ton, profile.name_npi


class Coded:
    """What is made once for all windows of a job: its template, and data_coding and parts of each of its texts, None
    where a text cannot be coded."""

    __slots__ = ("template", "texts")

    def __init__(self, template: SubmitTemplate) -> None:
        self.template = template
        self.texts: dict[int, tuple[int, list[bytes]] | None] = {}


class Coding:
    """Makes submit_sm for one account."""

    def __init__(self, profile: Smpp) -> None:
        self._profile = profile
        self._long = profile.long_messages

    def submits(self, job: Job, window: Window) -> Submits:
        """What goes out. A text that cannot be coded as it was priced is rejected here."""
        coded = job.kept
        if not isinstance(coded, Coded):
            coded = job.kept = Coded(self._template(job))
        template, owners, wanted = coded.template, job.owners, job.recipients.parts
        slots: list[int] = []
        messages: list[Message] = []
        numbers, index = job.texts.numbers, job.texts.index
        for slot in window.slots:
            at = owners[slot]
            found = self._text(job, coded, index[at] if index else 0)
            if found is None or len(found[1]) != wanted[at]:
                job.reject(slot, ERROR_LENGTH)
                continue
            data_coding, payloads = found
            slots.append(slot)
            if len(payloads) == 1:
                messages.append(Message(template, b"%d" % numbers[at], payloads[0], data_coding))
            else:
                messages.append(
                    self._part(job, slot, Message(template, b"%d" % numbers[at], b"", data_coding), payloads)
                )
        if self._long is Long.PAYLOAD and len(wanted) != len(job.slots):
            return self._joined(job, slots, messages)
        return Submits(slots, messages, None)

    def _part(self, job: Job, slot: int, message: Message, payloads: Sequence[bytes]) -> Message:
        part, bits = job.part(slot), job.claimed.reference_bits
        concat = Concat(job.reference(slot), len(payloads), part + 1)
        if self._long is Long.SAR:
            tlvs = b"".join(encode_tlv(tag, value) for tag, value in build_sar(concat).items())
            return message._replace(payload=payloads[part], tlvs=tlvs)
        return message._replace(payload=build_udh(concat, bits) + payloads[part], esm_class=ESM_UDH)

    def _joined(self, job: Job, slots: list[int], messages: list[Message]) -> Submits:
        """Messages whose parts are all here go out as one submit_sm. Others of a message may have gone out as parts
        before the profile was changed, or do not fit into the window: then the rest goes out as parts too."""
        joined: list[Message] = []
        spans: list[range] = []
        at = 0
        while at < len(slots):
            owner = job.owners[slots[at]]
            end = at + job.recipients.parts[owner]
            whole = end - at > 1 and end <= len(slots) and all(job.owners[slot] == owner for slot in slots[at:end])
            if not whole:
                end = at + 1
            spans.append(range(at, end))
            joined.append(self._payload(job, owner, messages[at]) if whole else messages[at])
            at = end
        return Submits(slots, joined, spans)

    def _payload(self, job: Job, owner: int, message: Message) -> Message:
        coded, index = job.kept, job.texts.index
        assert isinstance(coded, Coded)
        found = self._text(job, coded, index[owner] if index else 0)
        assert found is not None
        # Always by the TLV, and it always fits: short_message has room for more than a part, and a carrier that splits
        # would take what it finds there for one.
        tlv = encode_tlv(Tag.MESSAGE_PAYLOAD, b"".join(found[1]))
        return message._replace(payload=b"", esm_class=0, tlvs=tlv)

    def _text(self, job: Job, coded: Coded, index: int) -> tuple[int, list[bytes]] | None:
        if index not in coded.texts:
            profile = self._profile
            try:
                encoding, payloads = encode_parts(job.texts.texts[index], 16 if job.claimed.reference_bits == 16 else 8)
                ucs2 = encoding is Encoding.UCS2
                coded.texts[index] = profile.ucs2_data_coding if ucs2 else profile.gsm7_data_coding, payloads
            except TextRefused:
                coded.texts[index] = None
        return coded.texts[index]

    def _template(self, job: Job) -> SubmitTemplate:
        profile = self._profile
        source, source_ton, source_npi = source_of(job.claimed.about.sender, profile)
        return SubmitTemplate(
            source,
            source_ton=source_ton,
            source_npi=source_npi,
            destination_ton=profile.destination_ton,
            destination_npi=profile.destination_npi,
            registered_delivery=profile.registered_delivery,
            validity_period=job.claimed.valid_until.strftime("%y%m%d%H%M%S000+").encode(),
            service_type=profile.service_type.encode("ascii"),
        )
