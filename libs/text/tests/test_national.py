import pytest

from muster.text import Shifts, decode
from muster.text.national import PORTUGUESE, SPANISH, TURKISH

ALL = bytes(code for code in range(0x80) if code != 0x1B)
UPPER, LOWER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"
SIGNS = "%&'()*+,-./0123456789:;<=>?"


def test_the_turkish_locking_table_is_that_of_the_standard() -> None:
    assert decode(ALL, 0, Shifts(locking=TURKISH)) == (
        '@£$¥€éùıòÇ\nĞğ\rÅåΔ_ΦΓΛΩΠΨΣΘΞŞşßÉ !"#¤' + SIGNS + "İ" + UPPER + "ÄÖÑÜ§ç" + LOWER + "äöñüà"
    )


def test_the_portuguese_locking_table_is_that_of_the_standard() -> None:
    assert decode(ALL, 0, Shifts(locking=PORTUGUESE)) == (
        '@£$¥êéúíóç\nÔô\rÁáΔ_ªÇÀ∞^\\€Ó|ÂâÊÉ !"#º' + SIGNS + "Í" + UPPER + "ÃÕÚÜ§~" + LOWER + "ãõ`üà"
    )


@pytest.mark.parametrize(
    ("language", "codes", "characters"),
    [
        (TURKISH, "47 49 53 63 65 67 69 73", "ĞİŞç€ğış"),
        (SPANISH, "09 41 49 4f 55 61 65 69 6f 75", "çÁÍÓÚá€íóú"),
        (
            PORTUGUESE,
            "05 09 0b 0c 0e 0f 12 13 15 16 17 18 19 1f 41 49 4f 55 5b 5c 61 65 69 6f 75 7b 7c 7f",
            "êçÔôÁáΦΓΩΠΨΣΘÊÀÍÓÚÃÕÂ€íóúãõâ",
        ),
        *((language, "0a 14 28 29 2f 3c 3d 3e 40", "\f^{}\\[~]|") for language in (0, TURKISH, SPANISH, PORTUGUESE)),
    ],
)
def test_an_escape_shows_what_the_single_shift_table_of_the_language_has(
    language: int, codes: str, characters: str
) -> None:
    octets = b"".join(b"\x1b" + bytes((code,)) for code in bytes.fromhex(codes))
    assert decode(octets, 0, Shifts(single=language)) == characters


def test_both_tables_of_a_message_hold_at_once() -> None:
    assert decode(b"Sim, amanh{ \x1b\x0f tarde \x1be", 0, Shifts(PORTUGUESE, PORTUGUESE)) == "Sim, amanhã á tarde €"


def test_a_code_that_the_single_table_lacks_is_that_of_the_locking_table() -> None:
    assert decode(b"\x1b@\x1b`", 0, Shifts(locking=TURKISH, single=TURKISH)) == "|ç"


@pytest.mark.parametrize("shifts", [Shifts(SPANISH, 0), Shifts(13, 13), Shifts(255, 255)])
def test_a_language_without_a_table_here_is_read_by_the_default_one(shifts: Shifts) -> None:
    assert decode(b"Ma\x0dana \x1be`", 0, shifts) == "Ma\rana €¿"


def test_tables_of_a_language_are_not_for_what_is_in_another_coding() -> None:
    assert decode("Günaydın".encode("utf-16-be"), 8, Shifts(TURKISH, TURKISH)) == "Günaydın"
