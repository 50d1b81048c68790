"""A local server in a process of its own, and the tables that it writes."""

import subprocess

import deltalake
import duckdb
import pyarrow.dataset

import delta_reader

CLIENT_ID = "sdk-client"
CLIENT_SECRET = "sdk-secret"
WAIT_MAX_S = 60


class Server:
    """Runs for as long as the `with` block; must end with 0."""

    def __init__(self, zerobus, directory, *flags):
        self.warehouse = directory / "wh"
        command = [zerobus, "emulator", "--dir", self.warehouse, "--listen", "127.0.0.1:0"]
        command += ["--client", f"{CLIENT_ID}:{CLIENT_SECRET}", *flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        name, _, self.url = self.process.stdout.readline().strip().partition("=")
        assert name == "export ZEROBUS_ENDPOINT", f"the server says where it is: {name!r}"

    def __enter__(self):
        return self

    def __exit__(self, failed, *_):
        try:
            self.process.terminate()
            code = self.process.wait(WAIT_MAX_S)
            assert failed or code == 0, f"the server ended with {code}"
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()

    def path(self, table):
        return self.warehouse.joinpath(*table.split("."))

    def log(self, table):
        """The table's log, which must say the same with its checkpoint as without."""
        while True:
            log = delta_reader.replay(self.path(table))
            commits = delta_reader.replay(self.path(table), from_checkpoint=False)
            # A server that runs may merge small files in between.
            if log.version == commits.version:
                break
        assert sorted(log.files()) == sorted(commits.files()), f"{table}: the checkpoint is wrong"
        assert (log.version, log.fields()) == (commits.version, commits.fields()), table
        return log


def by_deltalake(server, table, order):
    """All rows of a table, ordered by a column, as the PyPI package deltalake reads them."""
    return deltalake.DeltaTable(str(server.path(table))).to_pyarrow_table().sort_by(order)


def by_duckdb(server, table, order):
    """The same as DuckDB reads the files that the log names."""
    with duckdb.connect() as connection:
        rows = connection.read_parquet(server.log(table).files())
        return rows.order(order).to_arrow_table()


def by_pyarrow(server, table, order):
    """The same as Arrow's own reader of Parquet reads them."""
    return pyarrow.dataset.dataset(server.log(table).files()).to_table().sort_by(order)
