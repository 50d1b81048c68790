"""How many records a client has acknowledged in a second when it waits for each; nothing is
asserted about it."""

import time

import zerobus.sdk.sync
from zerobus.sdk.shared import TableProperties

from sdk import protos
from sdk.server import CLIENT_ID, CLIENT_SECRET, Server, by_duckdb

TABLE = "main.default.air_quality"
RECORDS = 1_000


def check(zerobus_binary, directory):
    message = protos.air_quality(directory)
    with Server(zerobus_binary, directory, "--auto-create") as server:
        sdk = zerobus.sdk.sync.ZerobusSdk(server.url, server.url)
        properties = TableProperties(TABLE, message.DESCRIPTOR)
        stream = sdk.create_stream(CLIENT_ID, CLIENT_SECRET, properties)
        took = []
        for n in range(RECORDS):
            begin = time.monotonic()
            stream.ingest_record(message(humidity=n)).wait_for_ack()
            took.append(time.monotonic() - begin)
        stream.close()
        rows = by_duckdb(server, TABLE, "humidity")
        assert sorted(rows["humidity"].to_pylist()) == list(range(RECORDS)), "each is in the table once"
        took.sort()
        median, slowest = (took[RECORDS // 2] * 1000, took[-1] * 1000)
        log = server.log(TABLE)
        assert log.version >= RECORDS and log.checkpoint, "so many commits have a checkpoint"
        assert len(log.adds) < 100, f"small files are merged: {len(log.adds)}"
        figures = f"acks_per_s={RECORDS / sum(took):.0f} median_ms={median:.2f} max_ms={slowest:.1f}"
        yield f"one at a time: records={RECORDS} versions={log.version} files={len(log.adds)} {figures}"
