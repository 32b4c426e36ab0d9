"""The fixtures of the end-to-end tests: see e2e_world."""

from e2e_world import stack, world

__all__ = ["stack", "world"]
