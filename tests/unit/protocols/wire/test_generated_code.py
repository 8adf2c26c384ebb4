"""The committed protobuf code is what the .proto files generate."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
PROTO = ROOT / "protocols" / "proto" / "federated" / "v1"
SOURCES = sorted(PROTO.glob("*.proto"))
GENERATED = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py")


@pytest.fixture(scope="module")
def regenerated(tmp_path_factory) -> Path:
    """Runs the command of `make proto`, read from the Makefile, into another place."""
    (recipe,) = (line for line in (ROOT / "Makefile").read_text().splitlines() if "grpc_tools.protoc" in line)
    out = tmp_path_factory.mktemp("proto")
    command = recipe.strip().replace("$(BIN)/python", sys.executable).replace("_out=.", f"_out={out}")
    subprocess.run(command, shell=True, check=True, cwd=ROOT)
    return out


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
@pytest.mark.parametrize("ending", GENERATED)
def test_the_committed_code_is_up_to_date(regenerated, source, ending) -> None:
    name = Path("protocols") / "wire" / f"{source.stem}{ending}"
    assert (ROOT / name).read_text() == (regenerated / name).read_text(), "run `make proto` and commit the result"


def test_no_generated_file_is_left_without_its_source() -> None:
    committed = {path.name for path in (ROOT / "protocols" / "wire").glob("*_pb2*.py*")}
    assert committed == {f"{source.stem}{ending}" for source in SOURCES for ending in GENERATED}
    assert len(SOURCES) == 3


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_every_message_and_call_says_what_it_is(source) -> None:
    """Requests carry a version and, towards analysts, an authorisation."""
    text = source.read_text()
    assert text.startswith("//")
    if source.stem == "analyst":
        requests = [part for part in text.split("\nmessage ") if part.split(" ", 1)[0].endswith("Request")]
        assert len(requests) == 10
        assert all("uint32 version = 1;" in part and "bytes authorisation = 2;" in part for part in requests)
