"""Amounts and words as they may come in: credits and minor units are whole numbers, exact in every JSON reader."""

from typing import Annotated

from pydantic import Field, StringConstraints

from muster.credit.domain.account import CREDITS_MAX, CREDITS_MIN
from muster.credit.domain.payments import MINOR_UNITS_MAX
from muster.kit.forms import Form
from muster.kit.http import Int

Credits = Annotated[Int, Field(ge=CREDITS_MIN, le=CREDITS_MAX)]
MinorUnits = Annotated[Int, Field(ge=1, le=MINOR_UNITS_MAX)]
Currency = Annotated[str, Form("[A-Z]{3}", "must be a currency as ISO 4217 writes it, such as AUD")]
"""ISO 4217."""
Reason = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
Reference = Annotated[str, StringConstraints(max_length=200, strip_whitespace=True)]
