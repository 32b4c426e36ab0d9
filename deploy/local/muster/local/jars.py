"""Kafka's jars: resolved by Maven coordinates in Python (jgo), checked by SHA-256, kept in the user's cache folder.

`python -m muster.local.jars` fetches them (part of `make setup`); `--write` renews the list of hashes after a change of
version.
"""

import hashlib
import os
import shutil
import ssl
import sys
import tempfile
from pathlib import Path

KAFKA_VERSION = "4.3.1"
# The second one makes Kafka's log visible. In one resolution it would drag kafka-clients down to 3.9.1.
_COORDINATES = (
    f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}",
    "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4",
)
_HASHES = Path(__file__).with_name("kafka_jars.sha256")


def jars() -> Path:
    """The folder with all the jars, fetched at the first call; RuntimeError if one differs from its known hash."""
    folder = cache_folder() / f"kafka-{KAFKA_VERSION}"
    if not folder.exists():
        _fetch(folder)
    return folder


def cache_folder() -> Path:
    """The user's cache folder for what Muster downloads."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "muster"


def known_hashes() -> dict[str, str]:
    """File name -> SHA-256, as recorded in the repository."""
    pairs = (line.split() for line in _HASHES.read_text().splitlines())
    return {name: digest for digest, name in pairs}


def _fetch(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=".kafka-", dir=folder.parent))
    try:
        _resolve(made)
        _check(made)
        made.rename(folder)
    except OSError:  # another start was faster: its folder is as good
        if not folder.exists():
            raise
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _resolve(target: Path) -> None:
    import jgo

    _trust_what_the_machine_trusts()
    for coordinate in _COORDINATES:
        for jar in jgo.build(coordinate).all_jars:
            shutil.copyfile(jar, target / jar.name)


def _trust_what_the_machine_trusts() -> None:
    """Have jgo check certificates by the machine's list, as pip and uv do, and not by one that came in a package.

    Behind a company's proxy only the machine's list has the proxy's certificate.
    """
    machine = ssl.get_default_verify_paths().cafile
    if machine and not (os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")):
        os.environ["REQUESTS_CA_BUNDLE"] = machine


def _check(folder: Path) -> None:
    found, known = _hashes_of(folder), known_hashes()
    if found != known:
        different = sorted(name for name in found.keys() | known.keys() if found.get(name) != known.get(name))
        raise RuntimeError(f"Kafka's jars differ from their known hashes: {', '.join(different)}")


def _hashes_of(folder: Path) -> dict[str, str]:
    return {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in folder.iterdir()}


def _write() -> None:
    with tempfile.TemporaryDirectory() as folder:
        _resolve(Path(folder))
        _HASHES.write_text("".join(f"{digest}  {name}\n" for name, digest in sorted(_hashes_of(Path(folder)).items())))


def main(arguments: list[str]) -> str | None:
    """The command line; None, or why the jars are not there."""
    try:
        if arguments == ["--write"]:
            _write()
        print(f"Kafka {KAFKA_VERSION}: {jars()}")
    except (OSError, RuntimeError) as error:  # what requests raises is an OSError
        return f"Kafka's jars could not be fetched: {error}"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
