"""Faults on real processes: see run.py."""
