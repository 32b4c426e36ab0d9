"""What a text that somebody writes may hold. What was taken once stays taken: stored texts are not judged again."""

from muster.customer.domain.merge_reader import excerpt
from muster.customer.domain.refusal import Refusal
from muster.text import fault_of


def judge_characters(text: str, named: str = "text") -> Refusal | None:
    """The first character that cannot be sent to anybody, and where it stands. named: the input that it is in."""
    fault = fault_of(text)
    if fault is None:
        return None
    place = {"position": fault.position, "excerpt": excerpt(text, fault.position)}
    return Refusal(named, fault.code, fault.message, place)
