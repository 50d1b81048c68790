"""The vendor's quick starts: their SQL and GRANTs make the tables, their examples load them.

What is in examples/ stands as in the vendor's guides; only names and credentials are put in, and
one example is adapted to the SDK's present interface.
"""

import collections
import os
import signal
import subprocess
import sys

import zerobus.sdk.sync
from zerobus.sdk.shared import NonRetriableException, TableProperties

from sdk.protos import EXAMPLES, compiled
from sdk.server import CLIENT_ID, CLIENT_SECRET, Server, by_deltalake, by_duckdb

UNGRANTED = "main.default.ungranted"
AIR = "main.default.air_quality"
STATIONS = {"StationOne": "main.default.station_one", "StationTwo": "main.default.station_two"}

# SDK 1.10 takes an object where the guide has a function.
CALLBACK = (
    """ack_callback=lambda response: print(
            f"Acknowledged offset: {response.durability_ack_up_to_offset}"
        )""",
    "ack_callback=Acknowledged()",
)
CALLBACK_CLASS = """
from zerobus.sdk.shared import AckCallback

class Acknowledged(AckCallback):
    def on_ack(self, offset):
        print(f"Acknowledged offset: {offset}")
"""

# The SDK's threads abort about every seventh interpreter that ends after its async interface was
# used, when all is acknowledged and said: what is said and stored is checked all the same.
ENDS = [0, -signal.SIGABRT, -signal.SIGSEGV]


def check(zerobus_binary, directory):
    sql = directory / "tables.sql"
    sql.write_text(statements("air_quality.sql") + statements("station.sql"))
    compiled(directory, EXAMPLES / "record.proto")
    stations = compiled(directory, EXAMPLES / "station.proto")
    flags = ["--sql", sql, "--create", f"CREATE TABLE {UNGRANTED} (temp INT)", "--enforce-grants"]
    with Server(zerobus_binary, directory, *flags) as server:
        yield tables(server)
        yield from examples(server, directory)
        for name, table in STATIONS.items():
            yield station(server, getattr(stations, name), table)
        yield ungranted(server)


def statements(name):
    """The SQL of a guide with the names that it leaves open."""
    text = (EXAMPLES / name).read_text()
    for placeholder in ("<service-principal-application-id>", "<service-principal-id>"):
        text = text.replace(placeholder, CLIENT_ID)
    text = text.replace("<catalog_name>", "main")
    return text.replace("YOUR_CATALOG", "main").replace("YOUR_SCHEMA", "default")


def tables(server):
    """The tables are there, empty, with the columns and properties of the statements."""
    fields = {"device_name": "string", "temp": "integer", "humidity": "long"}
    auto = {"delta.autoOptimize.optimizeWrite": "true", "delta.autoOptimize.autoCompact": "true"}
    properties = auto | {"delta.enableRowTracking": "false"}
    expected = {
        AIR: (fields, {}),
        STATIONS["StationOne"]: (fields, properties),
        STATIONS["StationTwo"]: (fields | {"description": "string"}, properties),
    }
    for table, (fields, properties) in expected.items():
        log = server.log(table)
        assert log.adds == [] and log.fields() == fields, f"{table}: {log}"
        assert properties.items() <= log.metadata["configuration"].items(), f"{table}: {log.metadata}"
    return f"tables made by SQL: tables={len(expected)}"


def examples(server, directory):
    """Each example runs as it stands, and the table then holds its rows too."""
    hundred, success = "Ingested record 100\n", "Successfully ingested 100 records!\n"
    expected = collections.Counter()
    for name, sensors, count, said in [
        ("sync_example.py", 10, 100, [hundred, success]),
        ("async_example.py", 10, 100, [hundred, success]),
        ("blocking.py", 1000, 1000, []),
        ("non_blocking.py", 10, 100_000, ["Acknowledged offset: 0\n", "Acknowledged offset: 99999\n"]),
    ]:
        file = directory / name
        file.write_text(example(server, name))
        environment = os.environ | {"PYTHONPATH": str(directory)}
        command = [sys.executable, file]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert ran.returncode in ENDS, f"{name}: {ran.returncode} {ran.stderr} {ran.stdout[-300:]}"
        for line in said:
            assert line in ran.stdout, f"{name} says {line!r}: {ran.stdout[-300:]}"
        expected.update((f"sensor-{i % sensors}", 20 + i % 15, 50 + i % 40) for i in range(count))
        for read in (by_deltalake, by_duckdb):
            columns = read(server, AIR, "humidity").to_pydict()
            got = collections.Counter(zip(columns["device_name"], columns["temp"], columns["humidity"]))
            assert got == expected, f"{name} by {read.__name__}: {got.total()} rows"
        yield f"{name}: records={count} rows={got.total()} version={server.log(AIR).version}"


def example(server, name):
    """An example's text; a part of one gets the settings that the guide sets before it."""
    text = (EXAMPLES / name).read_text()
    settings = {
        "server_endpoint": ("1234567890123456.zerobus.us-west-2.cloud.databricks.com", server.url),
        "workspace_url": ("https://dbc-a1b2c3d4-e5f6.cloud.databricks.com", server.url),
        "table_name": (AIR, AIR),
        "client_id": ("your-service-principal-application-id", CLIENT_ID),
        "client_secret": ("your-service-principal-secret", CLIENT_SECRET),
    }
    if name == "non_blocking.py":
        assert CALLBACK[0] in text
        text = CALLBACK_CLASS + text.replace(*CALLBACK)
    if "Configuration\n" not in text:
        return "".join(f"{key} = {value!r}\n" for key, (_, value) in settings.items()) + text
    for key, (guide, value) in settings.items():
        assert text.count(f'{key} = "{guide}"') == 1, f"{name} sets {key}"
        text = text.replace(guide, value)
    return text


def station(server, message, table):
    """The guide's sample row, by protobuf and as JSON, with some rows around it."""
    columns = message.DESCRIPTOR.fields_by_name.keys()
    rows = [
        {"device_name": "sensor-002", "temp": 22, "humidity": 55, "description": "Main entrance"},
        {"device_name": None, "temp": -1, "humidity": 2**40, "description": ""},
        {"device_name": "é", "temp": None, "humidity": None, "description": None},
    ]
    rows = [{column: row[column] for column in columns} for row in rows]
    sdk = zerobus.sdk.sync.ZerobusSdk(server.url, server.url)
    for properties, records in [
        (TableProperties(table, message.DESCRIPTOR), [message(**row) for row in rows]),
        (TableProperties(table), rows),
    ]:
        stream = sdk.create_stream(CLIENT_ID, CLIENT_SECRET, properties)
        stream.ingest_records_offset(records)
        stream.close()
    for read in (by_deltalake, by_duckdb):
        got = read(server, table, "temp").to_pylist()
        key = lambda row: str(row["temp"])
        assert sorted(got, key=key) == sorted(rows + rows, key=key), f"{table}: {got}"
    return f"{table}: rows={len(got)}"


def ungranted(server):
    """A table without a GRANT takes nothing."""
    sdk = zerobus.sdk.sync.ZerobusSdk(server.url, server.url)
    try:
        sdk.create_stream(CLIENT_ID, CLIENT_SECRET, TableProperties(UNGRANTED))
    except NonRetriableException as error:
        said = str(error)
    else:
        raise AssertionError(f"{UNGRANTED} takes a stream")
    assert "4024" in said and "GRANT" in said, said
    return f"no GRANT: NonRetriableException: {said}"
