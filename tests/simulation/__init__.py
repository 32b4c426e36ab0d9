"""Whole histories of the real services with faults, each replayed exactly by its seed. See `world.py`."""
