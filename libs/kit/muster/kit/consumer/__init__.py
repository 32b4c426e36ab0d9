"""The consumer: a fetched batch of a partition is one transaction with its offset; see `Consumer`."""

from muster.kit.consumer.apply import PoisonLimit
from muster.kit.consumer.decode import decode
from muster.kit.consumer.loop import Consumer
from muster.kit.consumer.offsets import Fenced
from muster.kit.consumer.received import Handler, Poison, Received
from muster.kit.consumer.settings import ConsumerSettings
from muster.kit.consumer.watch import wait_until_read

__all__ = [
    "Consumer",
    "ConsumerSettings",
    "Fenced",
    "Handler",
    "Poison",
    "PoisonLimit",
    "Received",
    "decode",
    "wait_until_read",
]
