"""The main job as a story: a salon texts all its customers through the public API; every credit is accounted for."""

from muster.local.demo.story import main

__all__ = ["main"]
