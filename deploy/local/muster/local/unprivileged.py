"""PostgreSQL refuses to run as root: as whom it runs then, and where that user can reach its files.

An ordinary user runs everything as himself, inside the var folder. When root starts Muster, PostgreSQL runs as
`nobody`. That user often cannot reach the var folder or the virtual environment (a checkout below a 0700 home, a 0700
temporary folder). Rights of folders that are not ours are never widened; what cannot be reached gets a place in a
folder of root's own instead: the binaries as a copy that all later runs share, the data under a random name that the
var folder remembers in `postgres/elsewhere`.
"""

import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_USER_NAME = "nobody"
_PLACES = (Path("/var/lib"), Path("/var/tmp"), Path(tempfile.gettempdir()))


@dataclass(frozen=True)
class User:
    """A system user by its numbers."""

    uid: int
    gid: int


def unprivileged_user() -> User | None:
    """The user to become where we are root; None where we are an ordinary user already."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam(_USER_NAME)
    return User(entry.pw_uid, entry.pw_gid)


def can_reach(path: Path) -> bool:
    """Whether every folder above `path`, and `path` itself, lets others pass."""
    resolved = path.resolve()
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (resolved, *resolved.parents))


def own_place() -> Path:
    """Root's folder for what the unprivileged user must reach: 0711 and root's; created at need."""
    for parent in _PLACES:
        if not (parent.is_dir() and os.access(parent, os.W_OK) and can_reach(parent)):
            continue
        place = parent / "muster"
        place.mkdir(mode=0o711, exist_ok=True)
        status = place.lstat()
        # In a folder that all may write, somebody else may have been first with this name.
        if stat.S_ISDIR(status.st_mode) and status.st_uid == 0 and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return place
    raise RuntimeError(f"no folder that {_USER_NAME} can reach: tried {', '.join(map(str, _PLACES))}")


def data_elsewhere(owner: Path, kind: str) -> Path:
    """The data folder, in root's own place, that the file `owner` names; in use as long as that file exists.

    At first it names a new one, which is left to be made.
    """
    if not owner.exists():
        remove_abandoned_places(kind)
        place = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=own_place()))
        place.chmod(0o711)
        made = owner.with_name(f"{owner.name}.made")
        made.write_text(str(place / "data"))
        made.replace(owner)
    data = Path(owner.read_text())
    # After `owner` is there: another start, which removes abandoned places, cannot take this one for such.
    (data.parent / "owner").write_text(str(owner.resolve()))
    return data


def remove_abandoned_places(kind: str) -> None:
    """Remove the folders of `kind` whose owner was removed (a var folder that somebody deleted by hand)."""
    if os.geteuid() != 0:
        return
    for owner in own_place().glob(f"{kind}-*/owner"):
        if not Path(owner.read_text()).is_file():
            shutil.rmtree(owner.parent, ignore_errors=True)


def reachable_copy(folders: Iterable[Path], name: str) -> Path:
    """A folder with copies of `folders` that the unprivileged user can read, made once and shared by later runs."""
    target = own_place() / name
    if not target.exists():
        made = Path(tempfile.mkdtemp(prefix=".copy-", dir=target.parent))
        for folder in folders:
            shutil.copytree(folder, made / folder.name, symlinks=True)
        _let_others_read(made)
        try:
            made.rename(target)
        except OSError:  # another start was faster: its copy is as good
            shutil.rmtree(made)
            if not target.exists():
                raise
    return target


def _let_others_read(folder: Path) -> None:
    for root, _, files in os.walk(folder):
        os.chmod(root, 0o755)
        for file in files:
            path = Path(root, file)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
