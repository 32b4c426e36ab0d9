"""The list that a file fills. It changes once, in the transaction that ends the import: whoever dies before that has
changed nothing of it, and the same file again finds everybody there."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from muster.customer.domain.import_options import ImportOptions, Mode
from muster.customer.domain.lists import NAME_CHARACTERS_MAX, ListKind
from muster.customer.domain.refusal import Refusal
from muster.customer.store import imports, lists
from muster.customer.store.import_rows import not_met, who_was_met
from muster.kit.ids import uuid7
from muster.kit.pg import Tx

_NAMES_TRIED: Final = 100


@dataclass(frozen=True, slots=True)
class ListLimits:
    """Lists of a tenant, and customers on one of them."""

    lists_max: int
    members_max: int


class _Refused(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(code)
        self.refusal = Refusal("list", code, message)


async def fill(
    tx: Tx, tenant_id: UUID, import_id: UUID, by: str, options: ImportOptions, limits: ListLimits
) -> Refusal | None:
    """Put all whom a file has met on its list, and where it replaces the list take all others off; or say why the list
    stays as it was."""
    try:
        async with tx.savepoint():  # allow commit-at-the-edge: a list that is refused leaves the import as it is
            list_id = await _list(tx, tenant_id, by, options, limits)
            met = who_was_met(import_id)
            removed = 0
            if options.mode is Mode.REPLACE_LIST:
                removed = await lists.remove_found(tx, tenant_id, list_id, not_met(import_id))
            listed = await lists.add_found(tx, tenant_id, list_id, met)
            filled = await lists.list_of(tx, tenant_id, list_id)
            if filled is None or filled["customers"] > limits.members_max:
                raise _Refused("list_too_long", f"At most {limits.members_max} customers are on a list.")
            if listed or removed:
                await lists.touch(tx, tenant_id, list_id, by)
            await imports.filled(tx, tenant_id, import_id, list_id, listed, removed)
    except _Refused as refused:
        return refused.refusal
    return None


async def _list(tx: Tx, tenant_id: UUID, by: str, options: ImportOptions, limits: ListLimits) -> UUID:
    """The list to fill, locked; one that is made now where there is none, or where an upload needs one of its own."""
    kind = ListKind.UPLOAD if options.mode is Mode.UPLOAD else ListKind.KEPT
    found = await lists.list_named(tx, tenant_id, options.list) if kind is ListKind.KEPT else None
    if found is not None:
        locked = await lists.lock_list(tx, tenant_id, found["list_id"])
        if locked is not None:
            return UUID(bytes=locked["list_id"].bytes)
    if await lists.count_lists(tx, tenant_id) >= limits.lists_max:
        raise _Refused("too_many_lists", f"A business has at most {limits.lists_max} lists.")
    for name in _names(options.list):
        list_id = uuid7()
        if await lists.add_list(tx, tenant_id, list_id, name, kind, by):
            return list_id
    raise _Refused("list_exists", f"There are lists of the name '{options.list}'.")


def _names(name: str) -> list[str]:
    """The name, and others for when somebody has taken it meanwhile."""
    endings = [f" ({n})" for n in range(2, _NAMES_TRIED)]
    return [name, *(name[: NAME_CHARACTERS_MAX - len(ending)] + ending for ending in endings)]
