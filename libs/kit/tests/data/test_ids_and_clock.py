from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from muster.kit import clock
from muster.kit.ids import checked_uuid, parse_uuid, uuid7, verify_checked

KEY, OTHER_KEY = b"k" * 32, b"o" * 32


def test_uuid7_is_version_7_and_sorts_by_time() -> None:
    with clock.replaced(lambda: 1_700_000_000_000 * 1_000_000, lambda: 0.0):
        earlier = uuid7()
    later = uuid7()

    assert (earlier.version, earlier.variant) == (7, "specified in RFC 4122")
    assert earlier.int >> 80 == 1_700_000_000_000
    assert earlier < later
    assert len({uuid7() for _ in range(1000)}) == 1000


def test_a_checked_id_is_known_for_its_tenant_and_key_only() -> None:
    tenant = uuid4()
    given = checked_uuid(KEY, tenant)

    assert given.version == 7
    assert verify_checked(KEY, tenant, given)
    assert not verify_checked(KEY, uuid4(), given)
    assert not verify_checked(OTHER_KEY, tenant, given)
    assert not verify_checked(KEY, tenant, uuid7())
    assert not verify_checked(KEY, tenant, uuid4())
    assert all(not verify_checked(KEY, tenant, UUID(int=given.int ^ (1 << bit))) for bit in range(128))
    assert len({checked_uuid(KEY, tenant) for _ in range(1000)}) == 1000


@pytest.mark.parametrize("unix_ms", [0, 1, 999, 1_700_000_000_123, 4_102_444_800_000])
def test_times_survive_their_text(unix_ms: int) -> None:
    assert clock.parse_rfc3339(clock.rfc3339(unix_ms)) == unix_ms
    assert clock.rfc3339(unix_ms).endswith("Z")


def test_a_replaced_clock_is_read_everywhere_and_given_back() -> None:
    with clock.replaced(lambda: 5_000_000_000, lambda: 42.0):
        assert (clock.now(), clock.unix_ms(), clock.monotonic()) == (
            datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC),
            5000,
            42.0,
        )
    assert clock.unix_ms() > 1_700_000_000_000


def test_an_id_that_was_read_or_made_equals_the_standard_library_s() -> None:
    made = uuid7()
    standard = UUID(str(made))

    assert {made, parse_uuid(str(made)), parse_uuid(made.hex)} == {standard}
    assert (made.version, made.int, str(made)) == (7, standard.int, str(standard))


@pytest.mark.parametrize("text", ["", "x" * 36, "0" * 31, "urn:uuid:" + "0" * 32, "{" + "0" * 32 + "}", "0" * 31 + "é"])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid UUID"):
        parse_uuid(text)
