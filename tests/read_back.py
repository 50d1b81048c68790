"""Loads the samples and reads the tables back with the PyPI package deltalake.

Usage: read_back.py ZEROBUS
"""

import base64
import csv
import datetime
import decimal
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from deltalake import DeltaTable

SAMPLES = pathlib.Path(__file__).resolve().parent.parent / "samples"
AIR = "main.default.air_quality"


def main(zerobus):
    with tempfile.TemporaryDirectory() as directory:
        run = Run(zerobus, pathlib.Path(directory) / "wh")
        air_quality(run)
        station(run)
    print("read back: all rows as they should be")


class Run:
    def __init__(self, zerobus, warehouse):
        self.zerobus = zerobus
        self.warehouse = warehouse

    def ingest(self, table, *args, stdin=None):
        command = [self.zerobus, "ingest", "--local", self.warehouse, "--table", table, "-q", *args]
        subprocess.run([str(c) for c in command], check=True, input=stdin)

    def read(self, table):
        path = self.warehouse.joinpath(*table.split("."))
        return DeltaTable(str(path)).to_pyarrow_table()


def air_quality(run):
    text = (SAMPLES / "air_quality.ndjson").read_bytes()
    rows = [json.loads(line) for line in text.splitlines()]
    with open(SAMPLES / "air_quality.csv", newline="") as file:
        in_csv = [{**r, "temp": int(r["temp"]), "humidity": int(r["humidity"])} for r in csv.DictReader(file)]
    assert rows == in_csv and len(rows) == 2000
    proto = ["--proto", SAMPLES / "air_quality.proto"]
    expected = []
    for args, stdin in [
        ([*proto, SAMPLES / "air_quality.ndjson"], None),
        ([*proto, SAMPLES / "air_quality.csv"], None),
        ([*proto, "-"], text),
        (["--json", SAMPLES / "air_quality.ndjson"], None),
        (["--json", SAMPLES / "air_quality.csv"], None),
    ]:
        run.ingest(AIR, *args, stdin=stdin)
        expected += rows
        table = run.read(AIR)
        # A reader promises no order of files.
        got = table.to_pylist()
        key = lambda r: (r["device_name"], r["temp"], r["humidity"])
        assert sorted(got, key=key) == sorted(expected, key=key), args
    types = {f.name: str(f.type) for f in table.schema}
    assert types == {"device_name": "string", "temp": "int32", "humidity": "int64"}, types


def station(run):
    table = "main.default.station"
    run.ingest(table, "--proto", SAMPLES / "station.proto", SAMPLES / "station.ndjson")
    table = run.read(table)
    types = {f.name: str(f.type) for f in table.schema}
    assert types["measured_at"] == "timestamp[us, tz=UTC]", types
    assert types["price_per_kwh"] == "decimal128(10, 4)", types
    assert types["installed_on"] == "date32[day]", types
    got = sorted(table.to_pylist(), key=lambda r: r["measured_at"])
    lines = (SAMPLES / "station.ndjson").read_text().splitlines()
    assert len(got) == len(lines) == 200
    utc = datetime.timezone.utc
    for row, line in zip(got, map(json.loads, lines)):
        at = line["measured_at"]
        if isinstance(at, int):
            at = datetime.datetime(1970, 1, 1, tzinfo=utc) + datetime.timedelta(microseconds=at)
        else:
            at = datetime.datetime.fromisoformat(at.replace("Z", "+00:00"))
        status = {0: "UNKNOWN"}.get(line["status"], line["status"])
        assert row["station_id"] == line["stationId"]
        assert row["measured_at"] == at, (row, line)
        assert row["installed_on"] == datetime.date.fromisoformat(line["installed_on"])
        assert row["price_per_kwh"] == decimal.Decimal(line["price_per_kwh"])
        assert row["temperature"] == line["temperature"]
        assert row["location"] == line["location"]
        assert [round(w, 1) for w in row["wind_speeds"]] == line["wind_speeds"]
        assert [a["code"] for a in row["alarms"]] == [a["code"] for a in line["alarms"]]
        assert dict(row["counters"]) == {k: int(v) for k, v in line["counters"].items()}
        assert row["status"] == status
        assert row["firmware_hash"] == base64.b64decode(line["firmware_hash"])
        assert row["indoor"] == line["indoor"]
        assert row["battery_volts"] == line.get("battery_volts")
        assert row["mains_circuit"] == line.get("mains_circuit")
        assert json.loads(row["extra"]) == line["extra"]


if __name__ == "__main__":
    main(sys.argv[1])
    sys.stdout.flush()
    # The reader's threads can abort an interpreter that ends in the usual way, after all
    # is checked. A failed check never comes here.
    os._exit(0)
