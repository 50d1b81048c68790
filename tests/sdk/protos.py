"""Compiles .proto files to Python modules, as the vendor's guide does."""

import importlib
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
EXAMPLES = HERE / "examples"


def compiled(directory, path):
    """The module of a .proto file; it stays importable from `directory`."""
    protoc = [sys.executable, "-m", "grpc_tools.protoc", f"--python_out={directory}"]
    subprocess.run([*protoc, f"--proto_path={path.parent}", path.name], check=True)
    if str(directory) not in sys.path:
        sys.path.insert(0, str(directory))
    importlib.invalidate_caches()
    return importlib.import_module(path.stem.replace(".", "_") + "_pb2")


def air_quality(directory):
    """The message of the vendor's quick start."""
    return compiled(directory, EXAMPLES / "record.proto").AirQuality
