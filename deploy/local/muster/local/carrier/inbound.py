"""A text from a phone as deliver_sm PDUs."""

from typing import Any

from muster.smpp import Concat, Deliver, build_udh
from muster.smpp.pdu import ESM_UDH
from muster.text import Encoding, encoding_of, split
from muster.text.segments import ReferenceBits

_UCS2 = 8


def _address(address: str) -> tuple[str, int, int]:
    """(address, type of number, numbering plan): international, short code, or a name."""
    if address.startswith("+"):
        return address[1:], 1, 1
    return (address, 3, 1) if address.isdigit() else (address, 5, 0)


def deliver_pdus(source: str, destination: str, text: str, options: dict[str, Any], reference: int) -> list[Deliver]:
    """One deliver_sm for each part. Of `options`: `parts` false sends a long text in one message_payload,
    `reversed` sends the last part first, `only` loses all parts but these (from 1), `reference_bits` is 8 or 16.
    Raises ValueError for a text that cannot be sent."""
    reference_bits: ReferenceBits = 16 if options.get("reference_bits") == 16 else 8
    payloads = split(text, reference_bits)
    if not options.get("parts", True):
        payloads = [b"".join(payloads)]
    total = len(payloads)
    headers = [build_udh(Concat(reference, total, n), reference_bits) for n in range(1, total + 1)]
    source, source_ton, source_npi = _address(source)
    destination, destination_ton, destination_npi = _address(destination)
    pdus = [
        Deliver(
            0,
            source,
            destination,
            header + payload if total > 1 else payload,
            data_coding=_UCS2 if encoding_of(text) is Encoding.UCS2 else 0,
            esm_class=ESM_UDH if total > 1 else 0,
            source_ton=source_ton,
            source_npi=source_npi,
            destination_ton=destination_ton,
            destination_npi=destination_npi,
        )
        for number, (header, payload) in enumerate(zip(headers, payloads, strict=True), 1)
        if number in options.get("only", (number,))
    ]
    return pdus[::-1] if options.get("reversed") else pdus
