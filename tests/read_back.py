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

import delta_reader

SAMPLES = pathlib.Path(__file__).resolve().parent.parent / "samples"
AIR = "main.default.air_quality"


def main(zerobus):
    with tempfile.TemporaryDirectory() as directory:
        run = Run(zerobus, pathlib.Path(directory) / "wh")
        air_quality(run)
        station(run)
        bundle(run, pathlib.Path(directory))
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
        table = DeltaTable(str(path))
        files = {uri.removeprefix("file://") for uri in table.file_uris()}
        assert files == set(delta_reader.replay(path).files()), "the table's files are those of its log"
        return table.to_pyarrow_table()


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


GEO_PROTO = """
syntax = "proto3";
package acme.geo;
message Place { string site = 1; Point at = 2; enum Kind { NONE = 0; ROOF = 1; } Kind kind = 3; }
message Point { double lat = 1; double lon = 2; }
"""

ORDER_PROTO = """
syntax = "proto3";
package acme.orders.v1;
import "geo/place.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/duration.proto";
message Order {
  google.protobuf.Timestamp placed_at = 1;
  google.protobuf.Duration took = 2;
  google.protobuf.Int64Value customer = 3;
  acme.geo.Place ship_to = 4;
  repeated Line lines = 5;
  repeated google.protobuf.Timestamp seen_at = 6;
  map<string, acme.geo.Point> stops = 7;
  google.protobuf.Struct extra = 8;
  repeated string tags = 9;
}
message Line { string sku = 1; uint32 count = 2; Point point = 3; message Point { int32 x = 1; } }
"""


def bundle(run, directory):
    """A package, imports, siblings of equal names, well-known types, structs and lists."""
    (directory / "geo").mkdir()
    (directory / "geo" / "place.proto").write_text(GEO_PROTO)
    (directory / "order.proto").write_text(ORDER_PROTO)
    rows = [
        {
            "placedAt": f"2024-05-06T07:08:09.{i:06}+02:00",
            "took": f"{i}.5s",
            "customer": None if i % 3 == 0 else str(2**60 + i),
            "ship_to": {"site": f"s{i}", "at": {"lat": i / 4, "lon": -i / 8}, "kind": "ROOF"},
            "lines": [{"sku": f"k{n}", "count": n, "point": {"x": -n}} for n in range(i % 4)],
            "seenAt": ["1969-12-31T23:59:59.999999Z", "2038-01-19T03:14:08Z"],
            "stops": {"a": {"lat": 1.5}},
            "extra": {"i": i, "deep": [None, {"x": "é"}]},
            "tags": [f"t{i}", ""],
        }
        for i in range(50)
    ]
    (directory / "orders.ndjson").write_text("".join(json.dumps(r) + "\n" for r in rows))
    name = "main.default.orders"
    run.ingest(name, "--proto", directory / "order.proto", directory / "orders.ndjson")
    table = run.read(name)
    types = {f.name: str(f.type) for f in table.schema}
    assert types["placed_at"] == "timestamp[us, tz=UTC]", types
    assert types["took"] == types["customer"] == "int64", types
    assert types["seen_at"].startswith("list<") and "timestamp[us, tz=UTC]" in types["seen_at"], types
    utc = datetime.timezone.utc
    got = sorted(table.to_pylist(), key=lambda r: r["placed_at"])
    for i, (row, line) in enumerate(zip(got, rows, strict=True)):
        assert row["placed_at"] == datetime.datetime(2024, 5, 6, 5, 8, 9, i, tzinfo=utc)
        assert row["took"] == i * 1_000_000 + 500_000
        assert row["customer"] == (None if i % 3 == 0 else 2**60 + i)
        assert row["ship_to"] == line["ship_to"], row
        assert (row["lines"] or []) == line["lines"], row
        seen = [datetime.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=utc)]
        assert row["seen_at"] == seen + [datetime.datetime(2038, 1, 19, 3, 14, 8, tzinfo=utc)]
        assert dict(row["stops"])["a"]["lat"] == 1.5
        assert json.loads(row["extra"]) == line["extra"]
        assert row["tags"] == line["tags"]
    # The same fields from the columns of a CSV.
    header = "placed_at,ship_to.site,ship_to.at.lat,ship_to.kind,lines,tags\n"
    cells = '2030-01-01 00:00:00,here,2.5,ROOF,"[{""sku"": ""q"", ""count"": 4294967295}]","[""x""]"\n'
    (directory / "orders.csv").write_text(header + cells)
    run.ingest(name, "--proto", directory / "order.proto", directory / "orders.csv")
    row = max(run.read(name).to_pylist(), key=lambda r: r["placed_at"])
    assert row["ship_to"] == {"site": "here", "at": {"lat": 2.5, "lon": None}, "kind": "ROOF"}, row
    assert row["lines"] == [{"sku": "q", "count": 4294967295, "point": None}], row
    assert row["tags"] == ["x"] and row["customer"] is None, row


if __name__ == "__main__":
    main(sys.argv[1])
    sys.stdout.flush()
    # The reader's threads can abort an interpreter that ends in the usual way, after all
    # is checked. A failed check never comes here.
    os._exit(0)
