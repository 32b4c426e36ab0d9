"""Which encoding a text of no Western language is in."""

from charset_normalizer import from_bytes

_LEGACY = (
    *("cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp874", "koi8_r", "koi8_u", "iso8859_2"),
    *("iso8859_5", "iso8859_7", "iso8859_9", "shift_jis", "cp932", "euc_jp", "gb18030", "big5", "cp949", "euc_kr"),
)


def guess_encoding(sample: bytes) -> str | None:
    """The likeliest of the code pages that programs on people's desks write; None if none fits."""
    best = from_bytes(sample, cp_isolation=list(_LEGACY)).best()
    return best.encoding if best else None
