"""Who one is signed in as, by name, in the user's configuration folder: a file that its owner alone can read."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from platformdirs import user_config_path

from muster.client.errors import NotConnected

FILE: Final = "profiles.json"
DEFAULT: Final = "default"


@dataclass(frozen=True, slots=True)
class Profile:
    """Where Muster is and as whom to speak to it: by an API key, or by the token of a session. `role` and `who` are
    what they were when it was made."""

    url: str
    role: str
    who: str
    client_id: str = ""
    client_secret: str = ""
    session_token: str = ""


_CHOSEN: Final[ContextVar[str]] = ContextVar("profile", default="")


@contextmanager
def chosen(name: str) -> Iterator[None]:
    """Speak as this profile within."""
    token = _CHOSEN.set(name)
    try:
        yield
    finally:
        _CHOSEN.reset(token)


def chosen_name() -> str:
    """The profile that was asked for, by `chosen` or by MUSTER_PROFILE; "" where none was."""
    return _CHOSEN.get() or os.environ.get("MUSTER_PROFILE", "")


def folder() -> Path:
    """Where profiles are kept: `MUSTER_CONFIG`, else the user's configuration folder."""
    given = os.environ.get("MUSTER_CONFIG")
    return Path(given) if given else user_config_path("muster", appauthor=False)


def named(name: str) -> Profile:
    """The profile of this name; NotConnected where there is none."""
    found = _read()["profiles"].get(name)
    if found is None:
        raise NotConnected(f"there is no profile {name}: `muster login --profile {name}` makes it")
    return _profile(found)


def current(*, operator: bool | None) -> Profile | None:
    """The profile that was signed in with last, where it is an operator's or, as asked, is not; with None, whosever it
    is."""
    content = _read()
    found = content["profiles"].get(content["current"])
    profile = _profile(found) if found else None
    return profile if profile and operator in (None, profile.role == "operator") else None


def names() -> list[str]:
    """The names of all profiles."""
    return sorted(_read()["profiles"])


def current_name() -> str:
    """The name of the profile that was signed in with last, `default` where there is none."""
    return str(_read()["current"] or DEFAULT)


def keep(name: str, profile: Profile) -> None:
    """Keep a profile, which is the current one from now on."""
    content = _read()
    content["profiles"][name] = {key: value for key, value in asdict(profile).items() if value}
    _write({**content, "current": name})


def forget(name: str) -> None:
    """Keep a profile no longer."""
    content = _read()
    content["profiles"].pop(name, None)
    _write({**content, "current": "" if content["current"] == name else content["current"]})


def _profile(content: dict[str, Any]) -> Profile:
    try:
        return Profile(**content)
    except TypeError as error:
        raise NotConnected(
            f"{folder() / FILE} holds a profile of another kind; `muster login` makes it anew"
        ) from error


def _read() -> dict[str, Any]:
    path = folder() / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {"current": str(content["current"]), "profiles": dict(content["profiles"])}
    except FileNotFoundError:
        return {"current": "", "profiles": {}}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NotConnected(f"{path} cannot be read ({type(error).__name__}: {error}); remove it and log in") from error


def _write(content: dict[str, Any]) -> None:
    """In one step, and readable by its owner alone from its first moment: it holds secrets."""
    place = folder()
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, path = tempfile.mkstemp(dir=place)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
    Path(path).replace(place / FILE)
