"""The main job in a terminal, as docs/cli.md shows it: each command is run at a terminal of its own, and what it shows
is kept with those values made the same that differ each time. `python tests/e2e/terminal.py` plays it on the Muster
that runs here (`make run`) and writes it down; a test plays it and holds the page to it."""

import json
import os
import pty
import re
import secrets
import select
import shlex
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

import httpx

from muster.client import ApiError, Connection, Muster
from muster.client.commands import command as loaded
from muster.client.commands import main
from muster.client.exits import ExitCode

FILE: Final = Path(__file__).with_name("terminal.txt")
_WAIT_S: Final = 120.0
_POLL_S: Final = 0.1
_PASSWORD: Final = "harbour kettle violin"
_PEOPLE: Final = 60
_CREDITS: Final = 63
"""For a send to the three regulars and one to all, to the last credit."""
_PARTS_PER_SECOND: Final = 2
"""The business sends so slowly that a send to all takes half a minute: time enough to stop it midway."""
_TEXT: Final = '"Hi {first_name|there}, we open at 9"'


_STEERING: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_PACE: Final = re.compile(r"(rate per s|pace) ")
_BAR: Final = re.compile(r"\d:\d\d:\d\d(\^C)?$")
_SAME: Final = (
    (r"http://127\.0\.0\.1:\d+", "https://muster.example"),
    (r"kim-[0-9a-f]{8}@", "kim@"),
    (r"\+6148\d{7}", "+61480000001"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "2026-12-01 09:00:00 UTC"),
    (r"(rate per s +)[\d.]+", r"\g<1>2.0"),
    (r"\b[0-9a-f]{32}\b", "0af7651916cd43dd8448eb211c80319c"),
)
_YES: Final = (r"\[y/N\]: $", "y\n")


@dataclass(frozen=True, slots=True)
class Step:
    """A command as one types it. `typed`: what is typed once what is shown matches a pattern. `varies`: its figures
    are those of a moment. `draws`: the last bar that it drew is shown, too."""

    command: str
    typed: Sequence[tuple[str, str]] = ()
    varies: bool = False
    draws: bool = False
    exit_code: int = 0


STEPS: Final = (
    Step("muster login --url URL --email EMAIL", (("Password: $", f"{_PASSWORD}\n"),)),
    Step("head -4 customers.csv"),
    Step("muster customers import customers.csv", exit_code=ExitCode.PARTLY),
    Step(f"muster quote --to tag:regulars {_TEXT}"),
    Step(f"muster bulk send --to tag:regulars --text {_TEXT} --watch", (_YES,)),
    Step("muster bulk watch BULK"),
    Step("muster report --bulk BULK"),
    Step(
        f"muster bulk send --to all --text {_TEXT} --watch",
        (_YES, (rf" [2-9]/{_PEOPLE} ", "\x03")),
        varies=True,
        draws=True,
        exit_code=ExitCode.INTERRUPTED,
    ),
    Step('muster bulk stop BULK --reason "wrong hour"', varies=True),
    Step("muster bulk watch BULK", varies=True),
    Step("muster bulk list", varies=True),
    Step("muster credits show", varies=True),
    Step("muster credits statement --kind top_up"),
    Step(f"muster quote --to all {_TEXT}", varies=True, exit_code=ExitCode.CREDITS_SHORT),
)


def play(run: dict[str, Any], folder: Path) -> Iterator[str]:
    """What stands at the terminal after each step, on a business of its own. run: the content of run.json."""
    who = run["operator"]
    with Muster(Connection(run["url"], who["client_id"], who["client_secret"])) as operator:
        words = _opened(operator, run["url"])
        loaded()
        (folder / "customers.csv").write_text(_customers(), encoding="utf-8")
        for step in STEPS:
            command = _filled(step.command, words)
            shown = at_terminal(command, step, folder)
            if found := re.findall(r"^id +([0-9a-f-]{36})$|muster bulk stop ([0-9a-f-]{36})", shown, re.MULTILINE):
                words["BULK"] = "".join(found[-1])
            yield f"$ {command}\n{shown}"


def _filled(command: str, words: dict[str, str]) -> str:
    for name, value in words.items():
        command = re.sub(rf"\b{name}\b", value, command)
    return command


def _opened(operator: Muster, url: str) -> dict[str, str]:
    """A business with credits and a manager who has a password."""
    mark = secrets.token_hex(4)
    settings = {"name": "Harbour Salon", "country": "AU", "time_zone": "Australia/Sydney", "allow_sms_replies": True}
    settings |= {"sender": f"+6148{secrets.randbelow(10**7):07d}", "reception_email": f"{mark}@salon.example"}
    tenant = operator.post("/v1/tenants", settings)["id"]
    operator.patch(f"/v1/tenants/{tenant}", {"parts_per_second": _PARTS_PER_SECOND})
    user = {"tenant_id": tenant, "email": f"kim-{mark}@salon.example", "name": "Kim", "role": "manager"}
    link = operator.post(f"/v1/users/{operator.post('/v1/users', user)['id']}/link?tenant_id={tenant}")
    used = {"token": link["token"], "password": _PASSWORD}
    httpx.post(f"{url}/v1/links/use", json=used, timeout=_WAIT_S).raise_for_status()
    _until(lambda: _is_taken(operator, tenant))
    return {"URL": url, "EMAIL": user["email"], "TENANT": tenant, "SENDER": settings["sender"], "BULK": ""}


def _is_taken(operator: Muster, tenant: str) -> bool:
    """Whether credits were granted: a service may hear of a new business later than another."""
    try:
        operator.top_up(tenant, _CREDITS, reason="invoice 7", reference="play")
    except ApiError as refused:
        if refused.status != 404:
            raise
        return False
    return True


def _customers() -> str:
    """Sixty people, some of them regulars, and one whose number is none. The numbers are those of no subscriber."""
    rows = [f"Ana{n},Smith,0491 57{n:04d},yes,{'regulars' if n < 3 else ''}" for n in range(_PEOPLE)]
    rows.insert(2, "Bo,Jones,0412,yes,regulars")
    return "\n".join(("First name,Last name,Mobile,Allow Bulk SMS,Tags", *rows, ""))


def _until(seen: Any) -> None:
    until = time.monotonic() + _WAIT_S
    while not seen():
        if time.monotonic() > until:
            raise TimeoutError(f"not within {_WAIT_S} s")
        time.sleep(_POLL_S)


def at_terminal(command: str, step: Step, folder: Path) -> str:
    """What a command shows at a terminal of its own, the answers that are typed too."""
    process, terminal = pty.fork()
    if not process:
        _be(command, folder)
    try:
        shown = _read(terminal, list(step.typed))
    except TimeoutError:
        os.kill(process, signal.SIGKILL)
        raise
    finally:
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        os.close(terminal)
    if code != step.exit_code:
        raise RuntimeError(f"{command}: exit {code}\n{shown}")
    lines = [_last_drawn(line) for line in _STEERING.sub("", shown).split("\n")]
    seen = "\n".join(line for line in lines if step.draws or not _BAR.search(line))
    return re.sub(r"\n{3,}", "\n\n", seen.strip())


def _be(command: str, folder: Path) -> NoReturn:
    """Be the process of a command. `muster` itself is what is loaded here already: a dozen interpreters would take
    longer to begin than all the rest takes."""
    code = 1
    try:
        os.chdir(folder)
        for name in [name for name in os.environ if name.startswith("MUSTER_")]:
            del os.environ[name]
        look = {"TERM": "xterm", "COLUMNS": "100", "NO_COLOR": "1", "MUSTER_CONFIG": str(folder / "config")}
        os.environ.update(look)
        # Who runs in the background has been told not to hear it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w", buffering=1), open(2, "w", buffering=1)  # noqa: SIM115
        program, *words = shlex.split(command)
        if program != "muster":
            os.execvp(program, (program, *words))
        main(words)
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _last_drawn(line: str) -> str:
    """A line as it was when Ctrl-C was typed, else as it was drawn last."""
    drawn = [text.rstrip() for text in line.split("\r") if text.strip()]
    return next((text for text in drawn if text.endswith("^C")), drawn[-1] if drawn else "")


def _read(terminal: int, typed: list[tuple[str, str]]) -> str:
    """All that a process shows until it ends; what is to be typed is, once it is asked for."""
    shown, until = b"", time.monotonic() + _WAIT_S
    while select.select([terminal], [], [], max(0.0, until - time.monotonic()))[0]:
        try:
            shown += os.read(terminal, 1 << 16)
        except OSError:  # nobody has the other side open any more
            return shown.decode()
        if typed and re.search(typed[0][0], _STEERING.sub("", shown.decode(errors="replace"))):
            os.write(terminal, typed.pop(0)[1].encode())
    raise TimeoutError(f"it has not ended within {_WAIT_S} s: {shown.decode()}")


def settled(played: Iterable[str]) -> str:
    """What was played, a block for each step, with ids, times and addresses made those of every run."""
    ids: dict[str, str] = {}

    def same_id(found: re.Match[str]) -> str:
        return ids.setdefault(found[0], f"01a22255-0000-7000-8000-{len(ids) + 1:012d}")

    def same(block: str) -> str:
        for pattern, replacement in _SAME:
            block = re.sub(pattern, replacement, block)
        return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", same_id, block)

    return "\n\n".join(map(same, played)) + "\n"


def compared(text: str) -> list[str]:
    """The blocks of a play without bars, the widths of columns, the ids of customers, and what is known of the pace of
    a send only some time after it has closed; of those that vary, without figures."""
    blocks = [_squeezed(block) for block in re.split(r"\n\n(?=\$ )", text.rstrip("\n"))]
    return [
        re.sub(r"\d[\d,.:]*", "#", block) if step.varies else block for step, block in zip(STEPS, blocks, strict=True)
    ]


def _squeezed(block: str) -> str:
    lines = ("BAR" if _BAR.search(line) else line for line in block.splitlines() if not _PACE.match(line))
    return re.sub(r"([ \u2500\u2501])\1+", r"\1", re.sub(r"\(\d+, AU\)", "(#, AU)", "\n".join(lines)))


if __name__ == "__main__":
    run = Path(os.environ.get("MUSTER_VAR") or "var") / "run.json"
    written = Path(sys.argv[1]) if len(sys.argv) > 1 else FILE
    with tempfile.TemporaryDirectory() as made:
        written.write_text(settled(play(json.loads(run.read_text(encoding="utf-8")), Path(made))), encoding="utf-8")
