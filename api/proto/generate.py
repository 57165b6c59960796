"""Makes `perdure.api.protos` from the .proto files beside: `make protos`."""

from __future__ import annotations

import sys
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory

import google.api
from grpc_tools import protoc

SOURCES = Path(__file__).parent
GENERATED = SOURCES.parent / "perdure" / "api" / "protos"


def generate(target: Path) -> None:
    """Write all modules into the directory. Raises RuntimeError: a file cannot be compiled."""
    # Where the packages of `google` are that are not part of the compiler.
    annotations = Path(next(iter(google.api.__path__))).parents[1]
    well_known = resources.files("grpc_tools") / "_proto"
    with TemporaryDirectory() as directory:
        arguments = [f"--proto_path={path}" for path in (SOURCES, well_known, annotations)]
        arguments += [f"--python_out={directory}", f"--pyi_out={directory}"]
        if protoc.main(["protoc", *arguments, *map(str, sorted(SOURCES.rglob("*.proto")))]) != 0:
            raise RuntimeError("the .proto files cannot be compiled")
        # They import nothing of each other, so they may lie where the package has a place for them.
        for made in sorted(Path(directory).rglob("*.py*")):
            (target / made.name).write_text(made.read_text())


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else GENERATED)
