"""Limits of a consumer, and what they make of aiokafka's."""

from dataclasses import dataclass, field

from muster.kit.consumer.apply import PoisonLimit


@dataclass(frozen=True, slots=True)
class ConsumerSettings:
    """45 s let a cluster's broker restart without a rebalance; one machine and tests want 6 s or less."""

    session_timeout_ms: int = 45_000
    fetch_wait_ms_max: int = 5_000
    partition_fetch_bytes_max: int = 4 * 1024 * 1024
    fetch_bytes_max: int = 16 * 1024 * 1024
    partitions_at_once: int = 4
    metadata_age_ms_max: int = 60_000
    poison: PoisonLimit = field(default_factory=PoisonLimit)

    @property
    def rebalance_timeout_ms(self) -> int:
        """How long the group waits for a member that does not come to a rebalance, such as one that died with it."""
        return min(60_000, 3 * self.session_timeout_ms)

    @property
    def request_timeout_ms(self) -> int:
        """Longer than a rebalance may take: aiokafka gives up on a JoinGroup as on any other request, and then asks
        again from the beginning, which the others wait for in turn.
        """
        return self.rebalance_timeout_ms + 5_000

    @property
    def heartbeat_interval_ms(self) -> int:
        """A third of the session: two may be lost; at most 3 s, which is how soon a rebalance is heard of."""
        return min(3_000, self.session_timeout_ms // 3)
