"""Makes the protobuf modules and copies the registry: `python libs/events/generate.py [PROTO_FOLDER]`.

Run by `make proto`. A script beside the package, since the package cannot be imported before this has run.
"""

import shutil
import sys
from pathlib import Path

from grpc_tools import protoc

HERE = Path(__file__).resolve().parent
PACKAGE = HERE / "muster" / "events"
PROTO = HERE.parents[1] / "proto"


def generate(proto: Path) -> None:
    """Write `v1/*_pb2.py` and `*.pyi` and `topics.yaml` beside this file; SystemExit names what protoc refused."""
    (PACKAGE / "v1").mkdir(exist_ok=True)
    sources = sorted(str(path.relative_to(proto)) for path in proto.glob("muster/events/v1/*.proto"))
    if protoc.main(["protoc", f"-I{proto}", f"--python_out={HERE}", f"--pyi_out={HERE}", *sources]) != 0:
        raise SystemExit(f"protoc refused the files in {proto}")
    (PACKAGE / "v1" / "__init__.py").write_text('"""Generated from proto/; not committed."""\n', encoding="utf-8")
    shutil.copyfile(proto / "topics.yaml", PACKAGE / "topics.yaml")


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else PROTO)
