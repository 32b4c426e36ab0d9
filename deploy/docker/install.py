"""Installs one service into a folder of its own: `python deploy/docker/install.py SERVICE FOLDER`.

What the Dockerfile runs, from the root of the repository, once `bootstrap.py venv` has made the environment of tools.
The folder becomes a virtual environment with the service, our libraries that it names and what those need, in the
versions and with the hashes of requirements.lock; nothing else of the lock. Needs no container engine.
"""

import re
import shutil
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "deploy" / "local"))

from bootstrap import LOCK, PYTHON, VENV, run, uv  # noqa: E402 - a script beside a package, which nothing installs

TOOLS = ("hatchling", "editables", "grpcio-tools")
_OWN = "muster-"


def folder_of(service: str) -> Path:
    """Where the service's code is; SystemExit names those that there are."""
    found = {path.parent.name.removesuffix("-svc"): path.parent for path in ROOT.glob("services/*/pyproject.toml")}
    if service not in found:
        raise SystemExit(f"no service {service!r}; SERVICE is one of {', '.join(sorted(found))}")
    return found[service]


def needs(folder: Path) -> tuple[list[Path], set[str]]:
    """Our packages that make up the one in `folder`, itself last, and the names of all others that they ask for."""
    own: list[Path] = []
    others: set[str] = set()
    for name in tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]:
        if name.startswith(_OWN):
            below, more = needs(ROOT / "libs" / name.removeprefix(_OWN))
            own += [one for one in below if one not in own]
            others |= more
        else:
            others.add(name)
    return [*own, folder], others


def pinned(names: Iterable[str], lock: str) -> str:
    """The lines of the lock for these names, with their hashes; SystemExit names one that it lacks."""
    blocks = {_plain(block): block for block in re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE)}
    missing = sorted(name for name in names if _plain(name) not in blocks)
    if missing:
        raise SystemExit(f"{LOCK} lacks {', '.join(missing)}: add them to requirements.in and run `make lock`")
    return "".join(blocks[_plain(name)] for name in sorted(names))


def _plain(requirement: str) -> str:
    """The name that a requirement begins with, as package indexes compare names."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    return re.sub(r"[-_.]+", "-", found.group()).lower() if found else ""


def install(service: str, target: Path) -> None:
    """Make `target` the environment of `service`, and put what its processes read besides into it."""
    folder = folder_of(service)
    own, others = needs(folder)
    lock = LOCK.read_text(encoding="utf-8")
    tools, product = VENV / "tools.txt", VENV / "product.txt"
    tools.write_text(pinned(TOOLS, lock), encoding="utf-8")
    product.write_text(pinned(others, lock), encoding="utf-8")

    locked = ("--require-hashes", "-c", str(LOCK))
    uv("pip", "install", *locked, "-r", str(tools))
    run(str(PYTHON), "libs/events/generate.py")
    run(sys.executable, "-m", "venv", "--without-pip", str(target))
    inside = ("--python", str(target / "bin" / "python"), "--compile-bytecode")
    uv("pip", "install", *inside, *locked, "-r", str(product))

    wheels = (VENV / "wheels").resolve()
    for package in own:
        uv("build", "--wheel", "--no-build-isolation", "--python", str(PYTHON), "-o", str(wheels), str(package))
    uv("pip", "install", *inside, "--no-deps", *map(str, sorted(wheels.glob("*.whl"))))
    shutil.rmtree(wheels)

    shutil.copyfile("proto/topics.yaml", target / "topics.yaml")
    if (folder / "package.json").exists():
        run(sys.executable, "deploy/local/bootstrap.py", "pages")
        shutil.copytree(folder / "node_modules", target / "node_modules", dirs_exist_ok=True)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    install(sys.argv[1], Path(sys.argv[2]).resolve())
