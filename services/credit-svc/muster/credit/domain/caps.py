"""How much a tenant lets itself reserve in a day and in a month of its own wall clock. Pure."""

from datetime import date
from typing import NamedTuple


class Caps(NamedTuple):
    """The caps of an account (None: none) and what counts towards them.

    `today` is the tenant's wall clock when the account was read. What is reserved counts on that day and in its month;
    what comes back of it (released or refunded) counts no more, as long as it is the same day or month.
    """

    daily: int | None = None
    monthly: int | None = None
    today: date = date.min
    used_daily: int = 0
    used_monthly: int = 0

    @property
    def room(self) -> int | None:
        """How much may still be reserved; None where there is no cap."""
        rooms = [
            max(0, cap - used)
            for cap, used in ((self.daily, self.used_daily), (self.monthly, self.used_monthly))
            if cap is not None
        ]
        return min(rooms, default=None)

    def at(self, today: date) -> "Caps":
        """The caps as they are on that day. A day that is over does not come back, also where the zone changes."""
        if today <= self.today:
            return self
        same_month = _month(today) == _month(self.today)
        return self._replace(today=today, used_daily=0, used_monthly=self.used_monthly if same_month else 0)

    def reserved(self, credits: int) -> "Caps":
        """Credits were reserved today."""
        return self._replace(used_daily=self.used_daily + credits, used_monthly=self.used_monthly + credits)

    def came_back(self, credits: int, reserved_on: date) -> "Caps":
        """Credits that were reserved on a day came back today."""
        daily = credits if reserved_on == self.today else 0
        monthly = credits if _month(reserved_on) == _month(self.today) else 0
        return self._replace(
            used_daily=max(0, self.used_daily - daily), used_monthly=max(0, self.used_monthly - monthly)
        )

    def too_low(self, daily: int | None, monthly: int | None) -> str | None:
        """Which of these caps would be below what is already used: "daily_cap", "monthly_cap"; None where neither."""
        if daily is not None and daily < self.used_daily:
            return "daily_cap"
        return "monthly_cap" if monthly is not None and monthly < self.used_monthly else None


NO_CAPS = Caps()


def _month(day: date) -> tuple[int, int]:
    return day.year, day.month
