"""What a text that somebody writes may hold. What was taken once stays taken: stored texts are not judged again."""

from muster.customer.domain.refusal import Refusal
from muster.text import fault_of


def judge_wording(text: str) -> Refusal | None:
    """The first character that cannot be sent to anybody, and where it stands."""
    fault = fault_of(text)
    return None if fault is None else Refusal("text", fault.code, fault.message, {"position": fault.position})
