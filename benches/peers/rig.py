"""What the measurements share: builds, data, the sink, and a run of a client against it."""

import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

REPO = pathlib.Path(__file__).resolve().parents[2]
HERE = REPO / "benches" / "peers"
TARGET = REPO / "target" / "peers"
DATA = TARGET / "data"
TICKS_PER_S = os.sysconf("SC_CLK_TCK")

PROTOS = {"narrow": REPO / "samples/air_quality.proto", "wide": REPO / "benches/wide.proto"}
TABLES = {
    "narrow": "main.default.narrow (device_name STRING, temp INT, humidity BIGINT)",
    "wide": "main.default.wide (event_id STRING, device_id STRING, at BIGINT, received_at BIGINT,"
    " location STRUCT<city: STRING, latitude: DOUBLE, longitude: DOUBLE, floor: INT>,"
    " temperature DOUBLE, humidity DOUBLE, pressure DOUBLE, battery FLOAT, signal INT,"
    " active BOOLEAN, firmware STRING, count INT, total BIGINT, readings ARRAY<DOUBLE>,"
    " tags ARRAY<STRING>, counters MAP<STRING, BIGINT>, operator STRING, note STRING,"
    " score DOUBLE)",
}


def say(text):
    print(text, file=sys.stderr, flush=True)


def build(zerobus):
    """Builds the peers, and the loader unless one is given; returns the loader."""
    manifest = ["--release", "--locked", "--manifest-path"]
    env = os.environ | {"CARGO_TARGET_DIR": str(TARGET)}
    say("building the peers")
    subprocess.run(["cargo", "build", *manifest, HERE / "Cargo.toml"], check=True, env=env)
    if zerobus is None:
        say("building zerobus")
        subprocess.run(["cargo", "build", *manifest, REPO / "Cargo.toml"], check=True)
        zerobus = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPO / "target")) / "release/zerobus"
    return zerobus.resolve()


def python():
    """An interpreter with the Python SDK and the compiled record."""
    venv = TARGET / "venv"
    interpreter = venv / "bin/python"
    if not interpreter.exists():
        say("installing the Python SDK")
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        packages = ["databricks-zerobus-ingest-sdk==1.10.*", "grpcio-tools>=1.60,<2", "protobuf>=6.31,<7"]
        pip = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *packages], check=True)
    record = TARGET / "record.proto"
    shutil.copy(PROTOS["narrow"], record)
    protoc = [interpreter, "-m", "grpc_tools.protoc", f"-I{TARGET}", f"--python_out={TARGET}", record]
    subprocess.run(protoc, check=True)
    return interpreter


def data(kind, rows):
    """The file with so many rows: narrow and wide NDJSON, or the narrow ones as CSV."""
    file = DATA / f"{kind}-{rows}.{'csv' if kind == 'csv' else 'ndjson'}"
    if not file.exists():
        DATA.mkdir(parents=True, exist_ok=True)
        say(f"writing {file.name}")
        part = file.with_suffix(".part")
        with open(part, "wb") as out:
            subprocess.run([TARGET / "release/rows", kind, str(rows)], check=True, stdout=out)
        part.rename(file)
    with open(file, "rb") as content:
        # In the page cache for whoever comes first.
        while content.read(1 << 24):
            pass
    return file


class Sink:
    """A server that checks and acknowledges, in a process of its own, for one run."""

    def __init__(self, zerobus, *flags, store=False):
        self.directory = tempfile.TemporaryDirectory(prefix="sink-")
        command = [zerobus, "emulator", "--dir", self.directory.name, "--listen", "127.0.0.1:0"]
        command += ["--no-auth", *flags] + ([] if store else ["--discard"])
        for table in TABLES.values():
            command += ["--create", f"CREATE TABLE {table}"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.env = {}
        while "DATABRICKS_CLIENT_SECRET" not in self.env:
            line = self.process.stdout.readline()
            assert line, "the sink did not start"
            name, _, value = line.removeprefix("export ").strip().partition("=")
            self.env[name] = value
        self.url = self.env["ZEROBUS_ENDPOINT"]

    def received(self):
        """Records that came in the last two minutes. A second counts once it is over."""
        time.sleep(1.1)
        with urllib.request.urlopen(self.url + "/status.json") as answer:
            return sum(json.load(answer)["received_by_second"])

    def cpu_s(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    def end(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()
        self.directory.cleanup()
        # What a table has left to be written must not be at the next run's expense.
        os.sync()


def run(command, env=()):
    """Runs a client to its end: its output, wall and CPU seconds and its largest size in MiB."""
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | dict(env))
    peak = Peak(process.pid)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{command} ended with {process.returncode}"
    cpu = usage.ru_utime + usage.ru_stime
    return output.decode(), {"wall": wall, "cpu": cpu, "mib": peak.end()}


def run_quietly(command):
    """The least that it takes to run a program: the time is not that of our own making."""
    nowhere = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    arguments = [str(word) for word in command]
    pid = os.posix_spawn(arguments[0], arguments, os.environ, file_actions=nowhere)
    assert os.waitpid(pid, 0)[1] == 0, command


class Peak(threading.Thread):
    """Watches the largest size of a process. What `wait4` tells of it begins with ours."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.status = pathlib.Path(f"/proc/{pid}/status")
        self.kib = 0
        self.ended = threading.Event()
        self.start()

    def run(self):
        while not self.ended.wait(0.02):
            try:
                found = re.search(r"VmHWM:\s+(\d+) kB", self.status.read_text())
            except OSError:
                return
            # It only grows, but that it begins anew as the program takes the place of ours.
            self.kib = int(found[1]) if found else self.kib

    def end(self):
        self.ended.set()
        self.join()
        return self.kib / 1024


def against_sink(zerobus, command, rows, *flags, store=False):
    """Runs the client that `command` makes of the sink; all rows must arrive."""
    sink = Sink(zerobus, *flags, store=store)
    try:
        output, figures = run(command(sink), sink.env)
        figures["sink_cpu"] = sink.cpu_s()
        received = sink.received() if figures["wall"] < 100 else rows
        assert received == rows, f"{received} of {rows} records came"
        assert acknowledged(output) == rows, output
        return figures
    finally:
        sink.end()


def acknowledged(output):
    """What the client says: our summary, or a peer's count."""
    said = json.loads(output)
    return said if isinstance(said, int) else said["records"]["acked"]


def ours(zerobus, kind, file, *flags):
    """How the loader is called for these rows."""
    table = "narrow" if kind == "csv" else kind
    proto = () if "--json" in flags else ("--proto", PROTOS[table])
    command = [zerobus, "ingest", "--table", f"main.default.{table}", *proto, "-q", "-o", "json"]
    return lambda _: [*command, *flags, file]


def median(runs):
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}
