"""The consumer: a fetched batch of a partition is one transaction with its offset; see `Consumer`."""

from muster.kit.consumer.received import Handler, Poison, Received

__all__ = ["Handler", "Poison", "Received"]
