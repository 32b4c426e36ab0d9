"""Writes deploy/.env for compose: `python3 deploy/docker/env.py`. Needs nothing but Python.

Each variable that compose.yaml demands (NAME:?) has a line: a password or key is made up, hexadecimal and of 32 bytes;
what others give (a carrier, a mail relay) is left empty, and compose says so until it is filled in. A file that is
there keeps every line that it has.
"""

import os
import re
import secrets
from pathlib import Path

COMPOSE = Path(__file__).resolve().parents[1] / "compose.yaml"
FILE = COMPOSE.parent / ".env"
GIVEN_BY_OTHERS = re.compile(r"^MUSTER_(CARRIER|SMTP|REPLY|TENANT_MAIL)_|^MUSTER_SMTP$")


def required(compose: str) -> list[str]:
    """The variables without which compose does not start, in alphabetical order."""
    return sorted(set(re.findall(r"\$\{([A-Z0-9_]+):\?\}", compose)))


def lines(compose: str, present: str) -> list[str]:
    """What a file with the text `present` lacks."""
    known = {line.partition("=")[0].strip() for line in present.splitlines()}
    missing = [name for name in required(compose) if name not in known]
    return [f"{name}={'' if GIVEN_BY_OTHERS.match(name) else secrets.token_hex(32)}" for name in missing]


def main(compose: Path = COMPOSE, file: Path = FILE) -> list[str]:
    """Add to `file`, readable by its owner alone, what it lacks; the names of what is empty there."""
    present = file.read_text(encoding="utf-8") if file.exists() else ""
    if present and not present.endswith("\n"):
        present += "\n"
    text = present + "".join(f"{line}\n" for line in lines(compose.read_text(encoding="utf-8"), present))
    # Whole or not at all: half a file would lose the passwords that databases were made with.
    new = file.with_name(f"{file.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        out.write(text)
    new.replace(file)
    return [line.partition("=")[0] for line in text.splitlines() if re.fullmatch(r"[A-Z0-9_]+=", line)]


if __name__ == "__main__":
    empty = main()
    print(f"{FILE}: " + (f"fill in {', '.join(empty)}" if empty else "complete"))
