"""Bulk loads: records one by one and in batches, protobuf and JSON, by both interfaces of the SDK,
with and without TLS. Every row is compared by independent readers while the server still runs."""

import asyncio
import os
import time

import pyarrow
import zerobus.sdk.aio
import zerobus.sdk.sync
from zerobus.sdk.shared import TableProperties

from sdk import protos
from sdk.server import CLIENT_ID, CLIENT_SECRET, Server, by_deltalake, by_duckdb

ROWS = 100_000
BATCH_ROWS = 1_000
# Calls of the asynchronous interface under way at once: one at a time it is the SDK that takes long.
TASKS = 1_000
COLUMNS = {"device_name": pyarrow.string(), "temp": pyarrow.int32(), "humidity": pyarrow.int64()}


def check(zerobus_binary, directory):
    message = protos.air_quality(directory)
    for name, scheme, flags in [("plain", "http", []), ("tls", "https", ["--tls"])]:
        with Server(zerobus_binary, directory / name, "--auto-create", *flags) as server:
            assert server.url.startswith(scheme + "://"), server.url
            os.environ["SSL_CERT_FILE"] = str(server.warehouse / "ca.pem")
            for interface in (by_sync, by_aio):
                for ingest in (singly, in_batches):
                    yield f"{name} " + load(server, message, interface, ingest)


def load(server, message, interface, ingest):
    """Loads protobuf records and JSON records into one table; returns the figures."""
    table = f"main.default.{interface.__name__}_{ingest.__name__}"
    begin = time.monotonic()
    proto = TableProperties(table, message.DESCRIPTOR)
    interface(server, proto, ingest([message(**row(n)) for n in range(ROWS)]))
    json = TableProperties(table)
    interface(server, json, ingest([row(n) for n in range(ROWS, 2 * ROWS)]))
    took = time.monotonic() - begin
    expected = pyarrow.Table.from_pylist([row(n) for n in range(2 * ROWS)], pyarrow.schema(COLUMNS))
    for read in (by_deltalake, by_duckdb):
        got = read(server, table, "humidity")
        assert got.num_rows == 2 * ROWS, f"{table} by {read.__name__}: {got.num_rows} rows"
        assert got.cast(expected.schema).equals(expected), f"{table} by {read.__name__}: other values"
    log = server.log(table)
    assert log.rows() == 2 * ROWS, f"{table}: the log tells {log.rows()} rows"
    figures = f"protobuf={ROWS} json={ROWS} rows={got.num_rows} version={log.version}"
    return f"{interface.__name__} {ingest.__name__}: {figures} checkpoint={log.checkpoint} load_s={took:.1f}"


def row(number):
    """Every row is another one."""
    return {"device_name": f"sensor-{number % 97}", "temp": number % 50 - 25, "humidity": number}


def singly(records):
    return "ingest_record_offset", records


def in_batches(records):
    starts = range(0, len(records), BATCH_ROWS)
    return "ingest_records_offset", [records[n : n + BATCH_ROWS] for n in starts]


def by_sync(server, properties, calls):
    """Makes each call of the synchronous interface, waits for all acknowledgements and closes."""
    method, payloads = calls
    sdk = zerobus.sdk.sync.ZerobusSdk(server.url, server.url)
    stream = sdk.create_stream(CLIENT_ID, CLIENT_SECRET, properties)
    ingest = getattr(stream, method)
    offsets = [ingest(payload) for payload in payloads]
    stream.flush()
    stream.close()
    assert offsets == list(range(len(payloads))), "offsets count the calls"


def by_aio(server, properties, calls):
    """The same with the asynchronous interface."""

    async def run():
        method, payloads = calls
        sdk = zerobus.sdk.aio.ZerobusSdk(server.url, server.url)
        stream = await sdk.create_stream(CLIENT_ID, CLIENT_SECRET, properties)
        ingest = getattr(stream, method)
        offsets = []
        for n in range(0, len(payloads), TASKS):
            offsets += await asyncio.gather(*map(ingest, payloads[n : n + TASKS]))
        await stream.flush()
        await stream.close()
        assert sorted(offsets) == list(range(len(payloads))), "offsets count the calls"

    asyncio.run(run())
