"""From the domain's "no" to a problem document."""

from collections.abc import Sequence
from dataclasses import asdict

from muster.kit.problems import unprocessable_all
from muster.tenant.domain import Wrong


def refuse(wrong: Sequence[Wrong]) -> None:
    """Problem 422 that names each field, if there is one."""
    if wrong:
        raise unprocessable_all([asdict(one) for one in wrong])
