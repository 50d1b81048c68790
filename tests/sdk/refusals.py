"""What the SDK makes of refusals: the exception, its text, and a table that is as it was."""

import asyncio

import zerobus.sdk.aio
import zerobus.sdk.sync
from google.protobuf import descriptor_pb2, descriptor_pool
from zerobus.sdk.shared import (
    NonRetriableException,
    StreamConfigurationOptions,
    TableProperties,
    ZerobusException,
)

from sdk import protos
from sdk.server import CLIENT_ID, CLIENT_SECRET, Server, by_deltalake, by_duckdb

TABLE = "main.default.air_quality"
GOOD = {"device_name": "good", "temp": 1, "humidity": 1}
BAD = {"device_name": "bad", "temp": "hot", "humidity": 2}


def check(zerobus_binary, directory):
    message = protos.air_quality(directory)
    with Server(zerobus_binary, directory, "--auto-create") as server:
        sdk = zerobus.sdk.sync.ZerobusSdk(server.url, server.url)
        proto, json = TableProperties(TABLE, message.DESCRIPTOR), TableProperties(TABLE)

        def create(properties=proto, secret=CLIENT_SECRET):
            once = StreamConfigurationOptions(recovery=False)
            return sdk.create_stream(CLIENT_ID, secret, properties, once)

        stream = create()
        stream.ingest_record_offset(message(**GOOD))
        stream.close()
        rows = [GOOD]
        untouched(server, rows)

        wider = TableProperties(TABLE, with_field(message.DESCRIPTOR, "wind"))
        missing = TableProperties("main.default.missing")
        for what, call, *texts in [
            ("wrong secret", lambda: create(secret="wrong"), "(401)", "client id or secret is wrong"),
            ("missing table", lambda: create(missing), "main.default.missing does not exist"),
            ("unknown field", lambda: create(wider), "wind", "has no column in the table"),
        ]:
            yield refused(what, NonRetriableException, texts, call)
            untouched(server, rows)

        broken = message(**GOOD).SerializeToString() + b"\xff"
        for what, properties, good, bad, texts in [
            ("bad JSON record", json, GOOD, BAD, ["offset 1, record 1", 'field "temp"', "hot"]),
            ("bad protobuf record", proto, message(**GOOD), broken, ["offset 1, record 1"]),
        ]:
            stream = create(properties)
            # What comes before the bad batch is stored, and nothing of the batch itself.
            stream.ingest_record_offset(good)
            stream.ingest_records_offset([good, bad, good])
            yield refused(what, NonRetriableException, texts, stream.flush)
            rows.append(GOOD)
            untouched(server, rows)
            unacked = [len(batch) for batch in stream.get_unacked_batches()]
            assert unacked == [3], f"{what}: the batch is given back: {unacked}"
            closed = lambda: stream.ingest_record_offset(good)
            yield refused(f"{what}, then", ZerobusException, ["Stream is closed"], closed)
            stream.close()

        call = lambda: asyncio.run(ingest_bad(server, json))
        yield refused("bad record, async", NonRetriableException, ["offset 0, record 0", "hot"], call)
        untouched(server, rows)
    yield refused("no server", ZerobusException, ["Token fetch failed"], lambda: create(json, "other"))


def refused(what, kind, texts, call):
    """The call fails with exactly this kind of exception, and says what it must."""
    try:
        call()
    except ZerobusException as error:
        # Depending on which of its tasks is first, the client quotes the status.
        said = str(error).replace('\\"', '"')
        assert type(error) is kind, f"{what}: {type(error).__name__}: {said}"
        assert all(text in said for text in texts), f"{what}: {said}"
        return f"{what}: {kind.__name__}: {said}"
    raise AssertionError(f"{what}: no exception")


def untouched(server, rows):
    """The table holds these rows and no others."""
    for read in (by_deltalake, by_duckdb):
        got = read(server, TABLE, "humidity").to_pylist()
        assert got == rows, f"by {read.__name__}: {got}"


def with_field(descriptor, name):
    """The descriptor with one field more."""
    file = descriptor_pb2.FileDescriptorProto(name="wider.proto", syntax="proto2")
    descriptor.CopyToProto(file.message_type.add())
    field = file.message_type[0].field.add(name=name, number=100)
    field.type, field.label = field.TYPE_INT64, field.LABEL_OPTIONAL
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool.FindMessageTypeByName(descriptor.name)


async def ingest_bad(server, properties):
    sdk = zerobus.sdk.aio.ZerobusSdk(server.url, server.url)
    stream = await sdk.create_stream(CLIENT_ID, CLIENT_SECRET, properties)
    await stream.ingest_record_offset(BAD)
    await stream.flush()
