"""What happens to a message: decided by seed, number and attempt alone, so that a run repeats whatever the timing."""

import time
from hashlib import blake2b
from struct import Struct
from typing import Final, NamedTuple

from muster.local.carrier.options import CarrierOptions
from muster.local.carrier.stats import DESTINATIONS_KEPT, forget_oldest
from muster.smpp import ReceiptState
from muster.smpp.status import ESME_RINVDSTADR, ESME_RMSGQFUL, ESME_ROK, ESME_RSYSERR, ESME_RTHROTTLED

_DRAWS: Final = Struct(">8H")
_SCALE: Final = 65536


class Fate(NamedTuple):
    """`status` of the response; the rest only counts for an accepted message. `reorder_s` delays its receipt
    further."""

    status: int = ESME_ROK
    state: ReceiptState = ReceiptState.DELIVERED
    response_lost: bool = False
    receipt_lost: bool = False
    receipt_twice: bool = False
    reorder_s: float = 0.0
    receipt_alien: bool = False
    id_repeated: bool = False


GOOD: Final = Fate()
THROTTLED: Final = {"throttled": Fate(ESME_RTHROTTLED), "queue_full": Fate(ESME_RMSGQFUL)}
REJECTED: Final = {"number": Fate(ESME_RINVDSTADR), "system": Fate(ESME_RSYSERR)}


class Behaviour:
    """Judges submits under the present options. `seed` stays; the rest may change while it runs."""

    def __init__(self, options: CarrierOptions) -> None:
        self._key = options.seed.to_bytes(8, "big", signed=True)
        self._attempts: dict[str, int] = {}
        self._tokens = 1.0
        self._refilled_at = time.monotonic()
        self.use(options)

    def use(self, options: CarrierOptions) -> None:
        """From now on."""
        self._options = options
        self._by_number = bool(options.reject_ratio or options.undelivered_ratio or options.expired_ratio)
        self._by_attempt = bool(
            options.throttle_ratio
            or options.response_loss
            or options.receipt_loss
            or options.receipt_duplicate
            or options.receipt_reorder
            or options.receipt_alien
            or options.id_repeat
        )

    def forget(self) -> None:
        """Count attempts from 0 again."""
        self._attempts.clear()

    def state_of(self, number: str) -> ReceiptState:
        """How an accepted message to `number` ends, whether or not its receipt is sent."""
        return self._fate_of_number(number).state if self._by_number else GOOD.state

    def oddity(self, serial: int) -> int | None:
        """Which odd thing is said beside this answer, if any."""
        draws = self._draws("odd", serial)
        return draws[1] if draws[0] < self._options.odd_ratio * _SCALE else None

    def loses_query(self, serial: int) -> bool:
        """Whether this query_sm gets no answer."""
        return self._draws("query", serial)[0] < self._options.query_loss * _SCALE

    def judge(self, number: str) -> Fate:
        """The fate of one submit to `number`."""
        if self._options.rate_limit and not self._within_rate():
            return THROTTLED[self._options.throttle_status]
        fate = self._fate_of_number(number) if self._by_number else GOOD
        return self._with_luck(number, fate) if self._by_attempt else fate

    def refuses_bind(self, serial: int) -> bool:
        """Whether this bind, counted from the first, is refused."""
        ratio = self._options.bind_refused
        return bool(ratio) and self._draws("bind", serial)[0] < ratio * _SCALE

    def _within_rate(self) -> bool:
        now, rate = time.monotonic(), self._options.rate_limit
        # At most a tenth of a second's worth is saved up: a carrier's limit is not a burst of a whole second.
        self._tokens = min(self._tokens + (now - self._refilled_at) * rate, max(1.0, rate / 10))
        self._refilled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _draws(self, *what: object) -> tuple[int, ...]:
        return _DRAWS.unpack(blake2b(repr(what).encode(), digest_size=16, key=self._key).digest())

    def _fate_of_number(self, number: str) -> Fate:
        options, draw = self._options, self._draws(number)[0]
        if draw < options.reject_ratio * _SCALE:
            return REJECTED[options.reject_status]
        if draw < (options.reject_ratio + options.undelivered_ratio) * _SCALE:
            return Fate(state=ReceiptState.UNDELIVERABLE)
        if draw < (options.reject_ratio + options.undelivered_ratio + options.expired_ratio) * _SCALE:
            return Fate(state=ReceiptState.EXPIRED)
        return GOOD

    def _with_luck(self, number: str, fate: Fate) -> Fate:
        attempt = self._attempts[number] = self._attempts.get(number, 0) + 1
        forget_oldest(self._attempts, DESTINATIONS_KEPT)
        options, draws = self._options, self._draws(number, attempt)
        if draws[0] < options.throttle_ratio * _SCALE:
            return THROTTLED[options.throttle_status]
        return fate._replace(
            response_lost=draws[1] < options.response_loss * _SCALE,
            receipt_lost=draws[2] < options.receipt_loss * _SCALE,
            receipt_twice=draws[3] < options.receipt_duplicate * _SCALE,
            id_repeated=draws[7] < options.id_repeat * _SCALE,
            receipt_alien=draws[6] < options.receipt_alien * _SCALE,
            reorder_s=draws[5] / _SCALE if draws[4] < options.receipt_reorder * _SCALE else 0.0,
        )
