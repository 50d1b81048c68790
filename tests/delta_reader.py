"""Replays the log of a Delta table without any Delta library: JSON commits and Parquet checkpoints.

So it can say what a table holds independently of the library that wrote it. It knows what the
local server writes; anything else in a log (deletion vectors, sidecars) is an error.
"""

import dataclasses
import json
import pathlib
import urllib.parse

import pyarrow.parquet


@dataclasses.dataclass
class Snapshot:
    """A table at its last version."""

    table: pathlib.Path
    version: int
    # The version of the checkpoint that it was read from; None: from the commits alone.
    checkpoint: int | None
    metadata: dict
    protocol: dict
    # The `add` of each active file, in the order of their commits.
    adds: list[dict]

    def files(self):
        """The paths of the active Parquet files."""
        return [str(self.table / urllib.parse.unquote(add["path"])) for add in self.adds]

    def rows(self):
        """How many rows the log says there are."""
        return sum(json.loads(add["stats"])["numRecords"] for add in self.adds)

    def fields(self):
        """The types of the columns as the schema has them: names of primitives, else objects."""
        return {f["name"]: f["type"] for f in json.loads(self.metadata["schemaString"])["fields"]}


def replay(table, *, from_checkpoint=True):
    """The table's state by its last checkpoint, if it has one and is to be used, and the commits after it."""
    table = pathlib.Path(table)
    log = table / "_delta_log"
    checkpoint = last_checkpoint(log) if from_checkpoint else None
    snapshot = Snapshot(table, -1, None, {}, {}, [])
    active = {}
    if checkpoint is not None:
        rows = pyarrow.parquet.read_table(log / f"{checkpoint:020}.checkpoint.parquet").to_pylist()
        for action in rows:
            apply(action, snapshot, active)
        snapshot.version = snapshot.checkpoint = checkpoint
    for commit in commits(log):
        version = int(commit.stem)
        if version <= snapshot.version:
            continue
        assert version == snapshot.version + 1, f"{log} has no version {snapshot.version + 1}"
        snapshot.version = version
        for line in commit.open():
            apply(json.loads(line), snapshot, active)
    assert snapshot.metadata and snapshot.protocol, f"{log} tells neither metadata nor protocol"
    snapshot.adds = list(active.values())
    return snapshot


def commits(log):
    """The files of the commits that the log still has, in their order."""
    return sorted(path for path in log.glob("*.json") if path.stem.isdigit())


def last_checkpoint(log):
    """The version of the checkpoint that the log points to; None without one."""
    pointer = log / "_last_checkpoint"
    return json.loads(pointer.read_text())["version"] if pointer.exists() else None


def apply(action, snapshot, active):
    """Applies an action of a commit, or a row of a checkpoint, where all but one are null."""
    for kind, body in action.items():
        if body is None:
            continue
        match kind:
            case "add":
                assert not body.get("deletionVector"), f"{body['path']} has a deletion vector"
                active[body["path"]] = body
            case "remove":
                active.pop(body["path"], None)
            case "metaData":
                snapshot.metadata = body
            case "protocol":
                snapshot.protocol = body
            case "commitInfo" | "txn" | "domainMetadata" | "cdc":
                pass
            case _:
                raise AssertionError(f"{snapshot.table} has an action of kind {kind}")
