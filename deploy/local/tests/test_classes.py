"""The classes of Kafka that a node maps at its start."""

from pathlib import Path

import pytest

from muster.local import classes
from muster.local.jars import jars
from muster.local.kafka import Kafka


@pytest.fixture
def nothing_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where they would be: a cache with the jars and nothing else."""
    found = jars()
    cache = tmp_path / "muster"
    cache.mkdir()
    (cache / found.name).symlink_to(found)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return classes._folder()


def test_what_setup_made_fits_the_runtime_and_the_jars_and_a_node_maps_it(tmp_path: Path) -> None:
    assert classes.fit()
    (option,) = classes.mapped()
    assert option in Kafka(tmp_path).command().argv


def test_a_node_does_without_where_they_were_not_made(nothing_made: Path, tmp_path: Path) -> None:
    assert not nothing_made.exists()
    assert classes.mapped() == ()
    assert not [word for word in Kafka(tmp_path).command().argv if "SharedArchiveFile" in word]


def test_what_does_not_fit_is_made_anew(nothing_made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []
    monkeypatch.setattr(classes, "_make", made.append)
    nothing_made.mkdir()
    for name in ("java.jsa", "kafka.jsa"):
        (nothing_made / name).write_bytes(b"of another version")
    assert not classes.fit()
    assert classes.make() == nothing_made
    assert made == [nothing_made]
