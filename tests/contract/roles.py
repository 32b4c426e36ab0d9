"""Makes docs/roles.md from the table of permissions and docs/openapi.json: `python tests/contract/roles.py`."""

import json
from pathlib import Path

from muster.kit.auth import PUBLIC, Permission, Role

DOCS = Path(__file__).resolve().parents[2] / "docs"
FILE = DOCS / "roles.md"
_BEFORE = """# Roles

Somebody who signs in, and an API key, has one role. **Only admins and managers send**; staff browse, and keep customers
and opt-outs up to date; an operator runs the platform and sees nothing of what a business writes, nor to whom. Each
route of the API asks for one permission, by its name (`x-permission` in [openapi.json](openapi.json)), and is refused
with 403 and that name otherwise. `GET /v1/roles` tells this table; the page Settings, Roles shows it.

This page is made from the code (`libs/kit/muster/kit/permissions.py`; `python tests/contract/roles.py`), and a test
holds it to that; others try every role on every route.
"""


def text() -> str:
    """The page as it is committed."""
    document = json.loads((DOCS / "openapi.json").read_text(encoding="utf-8"))
    routes: dict[str, list[str]] = {}
    for path, item in sorted(document["paths"].items()):
        for verb, one in item.items():
            line = f"| `{verb.upper()}` | `{path}` | {one['tags'][0]} |"
            routes.setdefault(one.get("x-permission", PUBLIC), []).append(line)
    lines = [_BEFORE, f"| permission | who may … | {' | '.join(Role)} |", f"|---|---|{'---|' * len(Role)}"]
    for one in Permission:
        held = " | ".join("yes" if role in one.roles else "" for role in Role)
        lines.append(f"| [`{one.key}`](#{one.key}) | {one.says} | {held} |")
    lines += ["", "## Routes", "", "A route that is public says itself who calls: by a secret, a link or a signature."]
    for name in [*(one.key for one in Permission), PUBLIC]:
        of_it = routes.get(name)
        table = ["| | route | service |", "|---|---|---|", *of_it] if of_it else ["Asked for within a route."]
        lines += ["", f"### {name}", "", *table]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
