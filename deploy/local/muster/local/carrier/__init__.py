"""A carrier to test against: a real SMPP 3.4 server with seeded faults and an HTTP control port.

`muster carrier simulate` and `python -m muster.local.carrier` run it; tests hold it in their own loop by `Carrier`.
"""

from muster.local.carrier.main import run_carrier
from muster.local.carrier.options import CarrierOptions
from muster.local.carrier.server import Carrier

__all__ = ["Carrier", "CarrierOptions", "run_carrier"]
