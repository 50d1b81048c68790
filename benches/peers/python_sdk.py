"""A loader on the official Python SDK, as its README shows it: queue records, flush once.

Usage: python_sdk.py MODE ENDPOINT TABLE FILE ROWS

MODE is `single` (record by record) or `batch` (1,000 at a time). `record_pb2`, made of the
.proto by grpcio-tools, must be importable. Prints how many records were queued and flushed.
"""

import itertools
import json
import sys

import record_pb2
from zerobus.sdk.shared import TableProperties
from zerobus.sdk.sync import ZerobusSdk

BATCH_RECORDS = 1_000


def main(mode, endpoint, table, file, rows):
    message = record_pb2.AirQuality
    sdk = ZerobusSdk(endpoint, endpoint)
    stream = sdk.create_stream("any", "any", TableProperties(table, message.DESCRIPTOR))
    count = 0
    with open(file, encoding="utf-8") as lines:
        records = (message(**json.loads(line)) for line in itertools.islice(lines, rows))
        if mode == "single":
            for record in records:
                stream.ingest_record_offset(record)
                count += 1
        else:
            while batch := list(itertools.islice(records, BATCH_RECORDS)):
                stream.ingest_records_offset(batch)
                count += len(batch)
    stream.flush()
    stream.close()
    print(count)


if __name__ == "__main__":
    mode, endpoint, table, file, rows = sys.argv[1:]
    main(mode, endpoint, table, file, int(rows))
