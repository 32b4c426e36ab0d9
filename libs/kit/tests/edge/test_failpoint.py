"""A failpoint acts once, at its time, where it is armed, and never in production."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from muster.kit.failpoint import EXIT_CODE, Failpoint, arm
from muster.kit.settings import ServiceSettings


def ended(armed: str, hits: int) -> int:
    code = "import sys; from muster.kit import failpoint; failpoint.arm(sys.argv[1])\n"
    code += "for _ in range(int(sys.argv[2])): failpoint.hit('relay.after_ack')"
    return subprocess.run([sys.executable, "-c", code, armed, str(hits)], check=False, timeout=120).returncode


@pytest.mark.parametrize(
    ("armed", "hits", "code"),
    [
        ("relay.after_ack:exit", 1, EXIT_CODE),
        ("relay.after_ack:exit@3", 3, EXIT_CODE),
        ("relay.after_ack:exit@3", 2, 0),
        ("http.before_answer:exit", 1, 0),
        ("relay.after_ack:sleep=0.01", 2, 0),
        ("", 1, 0),
    ],
)
def test_a_process_dies_at_the_armed_point_at_its_time_and_nowhere_else(armed: str, hits: int, code: int) -> None:
    assert ended(armed, hits) == code


@pytest.mark.parametrize("armed", ["relay.nowhere:exit", "relay.after_ack:explode", "relay.after_ack", "http.:exit"])
def test_a_failpoint_that_does_not_exist_is_refused(armed: str) -> None:
    with pytest.raises(ValueError, match="no such failpoint"):
        arm(armed)


def test_another_family_s_failpoint_is_left_to_its_owner() -> None:
    Failpoint("dispatch.after_intent:exit").hit("dispatch.after_intent")


def test_no_service_starts_in_production_with_a_failpoint_armed() -> None:
    with pytest.raises(ValidationError, match="armed in production"):
        ServiceSettings(failpoint="relay.after_ack:exit")
    assert ServiceSettings(failpoint="relay.after_ack:exit", environment="development")
