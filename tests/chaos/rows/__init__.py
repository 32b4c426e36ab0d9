"""The rows of the list of faults, by what they break. Importing this registers them."""

from chaos.rows import broker, crashes, events, readers

__all__ = ["broker", "crashes", "events", "readers"]
