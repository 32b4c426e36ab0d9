"""/v1/bulk-sms/{id}/checks: what was checked of a send by law before it was confirmed, signed."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request

from muster.customer.api.check_shapes import SignedChecksIn, SignedChecksOut, VerifiedOut
from muster.customer.api.common import settings_of
from muster.customer.domain.gate import HOW_TO_VERIFY, octets_of, text_digest
from muster.customer.handlers.checking import texts_of
from muster.customer.handlers.signing import Signer
from muster.customer.store import checks, quotes
from muster.kit.auth import Caller, Permission, Tx, requires, tenant_tx
from muster.kit.ids import verify_checked
from muster.kit.problems import not_found

router = APIRouter(prefix="/v1/bulk-sms/{bulk_id}/checks")

_ERASED = ("", "(erased)")


@router.get("")
async def get_checks(
    bulk_id: UUID,
    request: Request,
    caller: Annotated[Caller, requires(Permission.READ_SENDS)],
    tx: Annotated[Tx, tenant_tx],
) -> SignedChecksOut:
    """The signed list of a send. Single messages and answers have none."""
    key = settings_of(request).bulk_id_key_bytes
    signed, signature = await _kept(request, tx, caller, bulk_id)
    quote = await quotes.quote_of(tx, caller.tenant_id, UUID(str(signed["quote_id"])))
    text: bool | None = None
    if quote is not None and quote.text not in _ERASED:
        text = text_digest(texts_of(quote.text, quote.others), key) == signed["text_digest"]
    signer = Signer(key)
    return SignedChecksOut(
        bulk_id=bulk_id,
        signed=signed,
        signature=signature.hex(),
        public_key=signer.public_key.hex(),
        how=HOW_TO_VERIFY,
        intact=signer.verify(octets_of(signed), signature),
        text=text,
    )


@router.post("/verification")
async def verify_checks(
    bulk_id: UUID,
    body: SignedChecksIn,
    request: Request,
    caller: Annotated[Caller, requires(Permission.READ_SENDS)],
    tx: Annotated[Tx, tenant_tx],
) -> VerifiedOut:
    """Whether a copy of a signed list is what we signed, and what is kept with this send."""
    kept = await _kept(request, tx, caller, bulk_id)
    signature = bytes.fromhex(body.signature)
    valid = Signer(settings_of(request).bulk_id_key_bytes).verify(octets_of(body.signed), signature)
    return VerifiedOut(valid=valid, kept=(body.signed, signature) == kept)


async def _kept(request: Request, tx: Tx, caller: Caller, bulk_id: UUID) -> tuple[dict[str, object], bytes]:
    """404 for what was never given to this tenant, and for what was not quoted."""
    known = verify_checked(settings_of(request).bulk_id_key_bytes, caller.tenant_id, bulk_id)
    found = await checks.checks_of(tx, caller.tenant_id, bulk_id) if known else None
    if found is None:
        raise not_found("checks of a bulk-sms")
    return found
