"""The rows of the list of faults, by what they break. Importing this registers them."""

from chaos.rows import crashes

__all__ = ["crashes"]
