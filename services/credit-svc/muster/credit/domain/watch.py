"""What a tenant wants to happen when its credits run low: be told, and be topped up. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from uuid import UUID, uuid5

from muster.credit.domain.account import Entry


@dataclass(frozen=True, slots=True)
class Watch:
    """A tenant's thresholds (None: none), and whether each is armed: what is available was not below it since."""

    tenant_id: UUID
    alert_below: int | None = None
    alert_armed: bool = True
    top_up_below: int | None = None
    top_up_armed: bool = True
    amount: int = 0
    currency: str = ""
    monthly_max: int = 0


@dataclass(frozen=True, slots=True)
class Low:
    """What is available fell below the alert's threshold, by the entry of this version."""

    tenant_id: UUID
    threshold: int
    available: int
    account_version: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is available fell below the threshold of the automatic top-up: one charge, whatever happens to it."""

    tenant_id: UUID
    account_version: int
    available: int
    amount: int
    currency: str
    monthly_max: int
    month: str = ""

    @property
    def charge_id(self) -> UUID:
        """The same for the same crossing: the provider's idempotency key."""
        return uuid5(self.tenant_id, f"charge/{self.account_version}")


class Failure(StrEnum):
    """Why an automatic top-up came to nothing, where it is not the provider who says so."""

    MONTHLY_MAXIMUM = "monthly_maximum"
    NO_ANSWER = "no_answer"
    NO_PROVIDER = "no_provider"


@dataclass(slots=True)
class Crossed:
    """What follows from entries: whom to tell, whom to charge, and the watches that changed."""

    lows: list[Low] = field(default_factory=list)
    wanted: list[Wanted] = field(default_factory=list)
    watches: dict[UUID, Watch] = field(default_factory=dict)


def crossings(watches: Mapping[UUID, Watch], entries: Iterable[Entry]) -> Crossed:
    """Each fall below a threshold once; it counts again after what is available was at the threshold or above."""
    found = Crossed()
    for entry in entries:
        account = entry.account
        before = found.watches.get(account.tenant_id) or watches.get(account.tenant_id)
        if before is None:
            continue
        if is_low(before.alert_below, account.available) and before.alert_armed and before.alert_below is not None:
            found.lows.append(Low(account.tenant_id, before.alert_below, account.available, account.version))
        if is_low(before.top_up_below, account.available) and before.top_up_armed:
            found.wanted.append(
                Wanted(
                    account.tenant_id,
                    account.version,
                    account.available,
                    before.amount,
                    before.currency,
                    before.monthly_max,
                    f"{account.caps.today:%Y-%m}",
                )
            )
        after = armed_at(before, account.available)
        if after != before:
            found.watches[account.tenant_id] = after
    return found


def armed_at(watch: Watch, available: int) -> Watch:
    """The watch with its thresholds armed where that much is not below them."""
    return replace(
        watch,
        alert_armed=not is_low(watch.alert_below, available),
        top_up_armed=not is_low(watch.top_up_below, available),
    )


def is_low(below: int | None, available: int) -> bool:
    """Whether that much is below a threshold; nothing is below none."""
    return below is not None and available < below
