"""Fields of PDUs as octets."""


def c_octets(value: str | bytes) -> bytes:
    """A C-octet string: Latin-1, ended by NUL. ValueError for a NUL inside."""
    octets = value if isinstance(value, bytes) else value.encode("latin-1")
    if 0 in octets:
        raise ValueError("NUL inside a C-octet string")
    return octets + b"\0"
