"""What is generated is what would be generated."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto

from perdure.api.protos import identity_pb2

ROOT = Path(__file__).parents[3]


def test_the_generated_code_is_that_of_the_files(tmp_path: Path) -> None:
    """`make protos` if it is not. Another version of the compiler may write it in other words, but not mean another."""
    command = [sys.executable, ROOT / "api" / "proto" / "generate.py", tmp_path]
    subprocess.run(command, check=True, timeout=60)
    made = {path.name for path in tmp_path.iterdir()}
    kept = ROOT / "api" / "perdure" / "api" / "protos"
    assert made == {path.name for path in kept.glob("*_pb2.py*")}
    for name in made:
        if name.endswith(".pyi"):
            assert (tmp_path / name).read_text() == (kept / name).read_text(), name
    show = (
        "import sys; sys.path.insert(0, sys.argv[1]); import identity_pb2; "
        "sys.stdout.buffer.write(identity_pb2.DESCRIPTOR.serialized_pb)"
    )
    made_again = subprocess.run([sys.executable, "-c", show, tmp_path], check=True, timeout=60, capture_output=True)
    wanted = FileDescriptorProto.FromString(identity_pb2.DESCRIPTOR.serialized_pb)
    assert FileDescriptorProto.FromString(made_again.stdout) == wanted
