"""Zerobus Station as its README describes it: FastAPI, pydantic models made of config.json, one
lazily opened stream of the official Python SDK for each table.

Run by `uvicorn station:app`; STATION_CONFIG names the configuration, and `record_pb2`, made of the
.proto by grpcio-tools, must be importable.
"""

import contextlib
import json
import os

import record_pb2
from fastapi import FastAPI
from pydantic import create_model
from zerobus.sdk.aio import ZerobusSdk
from zerobus.sdk.shared import TableProperties

TYPES = {"string": str, "int32": int, "int64": int}

with open(os.environ["STATION_CONFIG"], encoding="utf-8") as file:
    CONFIG = json.load(file)


class StreamManager:
    """Keeps the stream of each table."""

    def __init__(self):
        databricks = CONFIG["databricks"]
        self.sdk = ZerobusSdk(databricks["server_endpoint"], databricks["workspace_url"])
        self.streams = {}

    async def stream(self, key):
        if key not in self.streams:
            name = CONFIG["tables"][key]["table_name"]
            properties = TableProperties(name, record_pb2.AirQuality.DESCRIPTOR)
            secrets = os.environ["DATABRICKS_CLIENT_ID"], os.environ["DATABRICKS_CLIENT_SECRET"]
            self.streams[key] = await self.sdk.create_stream(*secrets, properties)
        return self.streams[key]

    async def close(self):
        for stream in self.streams.values():
            await stream.flush()
            await stream.close()


manager = StreamManager()


@contextlib.asynccontextmanager
async def lifespan(_):
    yield
    await manager.close()


app = FastAPI(lifespan=lifespan)


def add(key, table):
    fields = {field["name"]: (TYPES[field["type"]], ...) for field in table["fields"]}
    model = create_model(table["message_name"], **fields)

    @app.post(f"/ingest/{key}")
    async def ingest(data: model, wait_for_ack: bool = False):
        stream = await manager.stream(key)
        offset = await stream.ingest_record_offset(record_pb2.AirQuality(**data.model_dump()))
        if wait_for_ack:
            await stream.wait_for_offset(offset)
        message = "Record ingested and acknowledged" if wait_for_ack else "Record ingested"
        return {"status": "success", "table": key, "message": message, "wait_for_ack": wait_for_ack}

    @app.post(f"/flush/{key}")
    async def flush():
        await (await manager.stream(key)).flush()
        return {"status": "success", "table": key}


for key, table in CONFIG["tables"].items():
    add(key, table)


@app.get("/health")
async def health():
    return {"status": "healthy", "active_streams": len(manager.streams)}
