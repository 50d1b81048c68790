"""Loads tables of a local server with the official Python SDK, unmodified, and reads them back.

Usage: sdk.py ZEROBUS [CHECK...]

Makes itself a virtual environment under target/. Each check prints lines of figures; the first
that fails ends the run with exit code 1. Checks:
"""

import argparse
import importlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time

CHECKS = ["loads", "quick_starts", "values", "refusals", "acks"]
PACKAGES = [
    "databricks-zerobus-ingest-sdk==1.10.*",
    "deltalake==1.6.*",
    "duckdb>=1.4",
    "grpcio-tools>=1.60,<2",
    "protobuf>=6.31,<7",
    "pyarrow>=21",
]


def main():
    parser = argparse.ArgumentParser(description=__doc__ + ", ".join(CHECKS))
    parser.add_argument("zerobus", type=pathlib.Path)
    parser.add_argument("check", nargs="*", metavar="CHECK")
    args = parser.parse_args()
    chosen = args.check or CHECKS
    if unknown := set(chosen).difference(CHECKS):
        parser.error(f"no such check: {', '.join(unknown)}")
    enter_environment()
    # The SDK logs to standard output; DuckDB gives timestamps in the zone of its process.
    os.environ |= {"RUST_LOG": "off", "TZ": "UTC"}
    time.tzset()
    for name in chosen:
        begin = time.monotonic()
        check = importlib.import_module(f"sdk.{name}").check
        with tempfile.TemporaryDirectory(prefix="sdk-") as directory:
            for line in check(args.zerobus.resolve(), pathlib.Path(directory)):
                print(f"{name}: {line} seconds={time.monotonic() - begin:.1f}", flush=True)
                begin = time.monotonic()
    print("sdk: all is as it should be", flush=True)


def enter_environment():
    """Goes on in the virtual environment, made if need be."""
    venv = pathlib.Path(__file__).resolve().parent.parent / "target" / "sdk"
    if pathlib.Path(sys.prefix) == venv:
        return
    python = venv / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES]
    subprocess.run(pip, check=True)
    os.execv(python, [python, *sys.argv])


if __name__ == "__main__":
    main()
    # The reader's threads can abort an interpreter that ends in the usual way, after all
    # is checked. A failed check never comes here.
    os._exit(0)
