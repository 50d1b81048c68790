"""Values of every column type, at the ends of its range and beyond what is usual: written as
protobuf and as JSON records, read back equal by independent readers."""

import base64
import dataclasses
import datetime
import itertools
import json
import math
import subprocess
import sys
from datetime import date, datetime as time
from decimal import Decimal

import zerobus.sdk.sync
from zerobus.sdk.shared import TableProperties

from sdk.protos import HERE, compiled
from sdk.server import CLIENT_ID, CLIENT_SECRET, Server, by_deltalake, by_duckdb, by_pyarrow

TABLE = "main.default.every_type"
GENERATED = "main.default.generated"
UTC = datetime.timezone.utc


@dataclasses.dataclass
class Variant:
    """The value of a VARIANT."""

    value: object

    def text(self):
        return json.dumps(self.value)


def utc(*parts):
    return time(*parts, tzinfo=UTC)


def point(x=None, at=None):
    return {"x": x, "at": at}


def nested(name=None, middle=None):
    return {"name": name, "middle": middle}


# The primitive types as the log has them.
TYPES = {
    "id": "integer",
    "yes": "boolean",
    "tiny": "byte",
    "small": "short",
    "whole": "integer",
    "big": "long",
    "single": "float",
    "double_": "double",
    "decimal_38_0": "decimal(38,0)",
    "decimal_38_38": "decimal(38,38)",
    "decimal_38_19": "decimal(38,19)",
    "decimal_9_2": "decimal(9,2)",
    "text": "string",
    "text_5": "string",
    "bytes_": "binary",
    "day": "date",
    "at": "timestamp",
    "wall": "timestamp_ntz",
}
def nines(scale):
    """The largest of 38 digits; arithmetic would round it."""
    return Decimal((0, (9,) * 38, -scale))


VARIANTS = [
    {},
    [],
    "",
    {"deep": [1, {"x": [None, "é", 0.1, 2**70]}]},
    -1e300,
]
# For each column its values; a column with fewer is NULL in the rows that are left.
VALUES = {
    "yes": [True, False],
    "tiny": [-(2**7), 2**7 - 1, 0],
    "small": [-(2**15), 2**15 - 1, 0],
    "whole": [-(2**31), 2**31 - 1, 0],
    "big": [-(2**63), 2**63 - 1, 0, 2**53 + 1],
    "single": [-(2 - 2**-23) * 2.0**127, (2 - 2**-23) * 2.0**127, 2.0**-149, 2.0**-126]
    + [math.nan, math.inf, -math.inf, -0.0, 0.0, 1 + 2**-23],
    "double_": [-(2 - 2**-52) * 2.0**1023, (2 - 2**-52) * 2.0**1023, 2.0**-1074, 2.0**-1022]
    + [math.nan, math.inf, -math.inf, -0.0, 0.0, 0.1],
    "decimal_38_0": [nines(0), nines(0).copy_negate(), Decimal(0), Decimal(1), Decimal(2**64)],
    "decimal_38_38": [nines(38), nines(38).copy_negate(), Decimal("1e-38"), Decimal(0)],
    "decimal_38_19": [nines(19), nines(19).copy_negate(), Decimal("1.5"), Decimal("-0.1")],
    "decimal_9_2": [Decimal("9999999.99"), Decimal("-9999999.99"), Decimal("0.01"), Decimal(-1)],
    "text": ["", "\0", "é😀\u2028", "'\"\\\n\t", "x" * 100_000, "null"],
    "text_5": ["", "12345", "😀😀😀😀😀"],
    "bytes_": [b"", bytes(range(256)), b"\xff\xfe"],
    "day": [date.min, date.max, date(1970, 1, 1), date(1969, 12, 31), date(1582, 10, 10), date(2000, 2, 29)],
    "at": [utc(1, 1, 1), utc(9999, 12, 31, 23, 59, 59, 999_999), utc(1969, 12, 31, 23, 59, 59, 999_999)]
    + [utc(1970, 1, 1), utc(1900, 1, 1, 0, 0, 0, 1), utc(2262, 4, 12)],
    "wall": [time.min, time.max, time(1969, 12, 31, 23, 59, 59, 999_999), time(1970, 1, 1)]
    + [time(1582, 10, 10, 0, 0, 0, 1), time(2024, 3, 31, 2, 30)],
    "any": list(map(Variant, VARIANTS)),
    "bigs": [[], [0], [2**63 - 1, -(2**63)], list(range(1000))],
    "texts": [[], [""], ["a", "", "é"]],
    "decimals": [[], [nines(18), nines(18).copy_negate(), Decimal(0)]],
    "points": [[], [point()], [point(math.inf, utc(1, 1, 1)), point(-0.0, utc(9999, 12, 31))]],
    "anys": [[], list(map(Variant, VARIANTS))],
    "by_text": [{}, {"": 0, "é": 2**63 - 1, "z": -(2**63)}],
    "by_int": [{}, {-(2**31): date.min, 0: date(1969, 12, 31), 2**31 - 1: date.max}],
    "by_yes": [{}, {True: "", False: "no"}],
    "points_by_text": [{}, {"": point(), "a": point(1.5, utc(1969, 1, 1))}],
    "nested": [
        nested(),
        nested("", {"bigs": [], "inner": None}),
        nested("a", {"bigs": [1, -1], "inner": {"leaf": None, "day": None}}),
        nested(None, {"bigs": [], "inner": {"leaf": b"\0", "day": date.min}}),
    ],
}


def check(zerobus_binary, directory):
    message = compiled(directory, HERE / "every_type.proto").EveryType
    values = itertools.zip_longest(*VALUES.values())
    rows = [{"id": n} | dict(zip(VALUES, row)) for n, row in enumerate(values)]
    rows.append({"id": len(rows)} | dict.fromkeys(VALUES))
    sql = (HERE / "every_type.sql").read_text()
    # The vendor's generator of .proto files knows no DECIMAL.
    known = "".join(line for line in sql.splitlines(keepends=True) if "DECIMAL" not in line)
    statements = [sql, known.replace(TABLE, GENERATED)]
    with Server(zerobus_binary, directory, *(w for s in statements for w in ("--create", s))) as server:
        assert TYPES.items() <= server.log(TABLE).fields().items(), server.log(TABLE).fields()
        # In protobuf a list or map that is not there is an empty one.
        empty = {name: type(v[0])() for name, v in VALUES.items() if isinstance(v[0], (list, dict))}
        empty.pop("nested")
        expected = [row | {name: row[name] or value for name, value in empty.items()} for row in rows]
        records = [message(**for_protobuf(row)) for row in rows]
        yield load(server, "protobuf", TableProperties(TABLE, message.DESCRIPTOR), records, expected)
        yield load_generated(server, directory, rows, expected)
        rows = [row | {"id": row["id"] + len(rows)} for row in rows]
        records = [json.dumps(for_json(row)) for row in rows]
        yield load(server, "JSON", TableProperties(TABLE), records, expected + rows)


def load(server, name, properties, records, expected):
    """Loads the records; the table must then hold the expected rows."""
    sdk = zerobus.sdk.sync.ZerobusSdk(server.url, server.url)
    stream = sdk.create_stream(CLIENT_ID, CLIENT_SECRET, properties)
    stream.ingest_records_offset(records)
    stream.close()
    table = properties.table_name
    for read in (by_deltalake, by_duckdb, by_pyarrow):
        got = read(server, table, "id").to_pylist(maps_as_pydicts="strict")
        assert len(got) == len(expected), f"{name} by {read.__name__}: {len(got)} rows"
        for row, other in zip(got, expected):
            for column, value in row.items():
                same = comparable(value) == comparable(other[column])
                assert same, f"{name} by {read.__name__}: {column} is {value!r}, not {other[column]!r}"
            assert row.keys() == other.keys(), f"{name} by {read.__name__}: {list(row)}"
    return f"{name}: columns={len(row)} rows={len(records)}"


def load_generated(server, directory, rows, expected):
    """The same by the .proto that the SDK's own generator makes of the table's columns."""
    file = directory / "generated.proto"
    command = [sys.executable, "-m", "zerobus.tools.generate_proto", "--uc-endpoint", server.url]
    command += ["--client-id", CLIENT_ID, "--client-secret", CLIENT_SECRET, "--table", GENERATED]
    subprocess.run([*command, "--output", file, "--proto-msg", "Generated"], check=True, capture_output=True)
    message = compiled(directory, file).Generated
    columns = message.DESCRIPTOR.fields_by_name.keys()
    rows, expected = ([{c: row[c] for c in columns} for row in table] for table in (rows, expected))
    records = [message(**for_protobuf(row)) for row in rows]
    return load(server, "generated", TableProperties(GENERATED, message.DESCRIPTOR), records, expected)


def for_protobuf(value):
    """A value as a field of a message holds it; null is to have none."""
    match value:
        case dict():
            return {k: for_protobuf(v) for k, v in value.items() if v is not None}
        case list():
            return [for_protobuf(v) for v in value]
        case time(tzinfo=None):
            return (value - time(1970, 1, 1)) // datetime.timedelta(microseconds=1)
        case time():
            return (value - utc(1970, 1, 1)) // datetime.timedelta(microseconds=1)
        case date():
            return (value - date(1970, 1, 1)).days
        case Decimal():
            return f"{value:f}"
        case Variant():
            return value.text()
    return value


def for_json(value):
    """A value as a JSON record holds it."""
    match value:
        case dict():
            return {k: for_json(v) for k, v in value.items()}
        case list():
            return [for_json(v) for v in value]
        case date():
            return value.isoformat()
        case Decimal():
            return f"{value:f}"
        case bytes():
            return base64.b64encode(value).decode()
        case float() if math.isnan(value):
            return "NaN"
        case float() if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
        case Variant():
            return value.value
    return value


def comparable(value):
    """A value that equals another only if they are the same, also for NaN and -0.0."""
    match value:
        case dict():
            return {k: comparable(v) for k, v in value.items()}
        case list():
            return [comparable(v) for v in value]
        case float():
            return repr(value)
        case Variant():
            return value.text()
    return value
