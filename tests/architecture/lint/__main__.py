"""`python tests/architecture/lint`: hold every Python file of the project against our own rules."""

import re
import subprocess
import sys
from pathlib import Path, PurePosixPath

sys.path.insert(0, str(Path(__file__).resolve().parent))

from rules import RULES, Finding, Source, check, misnumbered

MIGRATIONS = "services/*/muster/*/migrations/*.sql"
ROOT = Path(__file__).resolve().parents[3]
TENANT_TABLE = re.compile(r"CALL\s+kit_tenant_table\(\s*'(\w+)'", re.IGNORECASE)


def tenant_tables(service: Path) -> frozenset[str]:
    """The tables that a service's migrations put under row-level security."""
    files = service.glob("muster/*/migrations/*.sql")
    return frozenset(name.lower() for file in files for name in TENANT_TABLE.findall(file.read_text(encoding="utf-8")))


def sources() -> list[Source]:
    """Every Python file that git tracks or does not ignore, less what is generated."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    tables = {service.name: tenant_tables(service) for service in (ROOT / "services").glob("*-svc")}
    return [
        Source(
            PurePosixPath(name), (ROOT / name).read_text(encoding="utf-8"), tables.get(name.split("/")[1], frozenset())
        )
        for name in listed
        if (ROOT / name).exists()
    ]


def main() -> int:
    """Print every finding; 1 if there is any."""
    checked = sources()
    findings: list[Finding] = [finding for source in checked for finding in check(source)]
    findings += misnumbered(PurePosixPath(file.relative_to(ROOT)) for file in ROOT.glob(MIGRATIONS))
    for finding in findings:
        print(finding)
    print(f"{len(checked)} files, {len(RULES)} rules, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
