"""Measures the HTTP gateway beside a FastAPI service on the official Python SDK.

Each round runs both in turn, each before a fresh server that stores what comes, under wrk from
another process. Prints a table of medians, and writes it to target/peers/gateway.md. Nothing is
asserted of the times; every request must be answered, and every record that was must have come.

Needs wrk.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request

import rig

TABLE = "main.default.narrow"
ROW = {"device_name": "sensor-001", "temp": 25, "humidity": 60}
LINES = 1_000
WAIT = "/ingest/one?wait_for_ack=true"
# What is sent, to where, rows of a body, connections. Who waits is as fast as the server's
# commits, whatever is in between, unless there are many of them.
MODES = {
    "202": ("single objects, 202", "/ingest/one", 1, 64),
    "200": ("single objects, wait_for_ack", WAIT, 1, 64),
    "200-many": ("single objects, wait_for_ack", WAIT, 1, 256),
    "ndjson-202": (f"NDJSON of {LINES} rows, 202", "/ingest/one", LINES, 16),
    "ndjson-200": (f"NDJSON of {LINES} rows, wait_for_ack", WAIT, LINES, 16),
}
NAMES = {"ours": "zerobus gateway", "spool": "zerobus gateway --spool", "station": "FastAPI, Python SDK 1.10"}
PACKAGES = ["fastapi==0.*", "uvicorn[standard]==0.*"]

# Sends the body of a file, and tells how it went as JSON.
SCRIPT = """
local file = io.open(os.getenv("BODY"), "rb")
wrk.method, wrk.body = "POST", file:read("*a")
wrk.headers["Content-Type"] = os.getenv("KIND")
function done(summary, latency, requests)
  local errors = summary.errors
  local lost = errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format('{"requests": %d, "seconds": %f, "status": %d, "lost": %d, "p50": %f, "p99": %f}\\n',
    summary.requests, summary.duration / 1e6, errors.status, lost, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zerobus", type=pathlib.Path, help="a gateway that is built already")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--discard", action="store_true", help="before a server that acknowledges at once and stores nothing")
    parser.add_argument("--only", choices=MODES, help="measure this alone")
    args = parser.parse_args()
    assert shutil.which("wrk"), "wrk is needed"
    zerobus = rig.build(args.zerobus) if args.zerobus is None else args.zerobus.resolve()
    rig.TARGET.mkdir(parents=True, exist_ok=True)
    python = rig.python()
    subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    runs = {}
    for number in range(args.rounds):
        for mode in [args.only] if args.only else MODES:
            for who in NAMES:
                if (who == "station" and mode.startswith("ndjson")) or (who == "spool" and not mode.endswith("202")):
                    continue
                rig.say(f"round {number + 1} of {args.rounds}: {NAMES[who]}, {mode}")
                figures = one(args, zerobus, python, who, mode)
                rig.say(f"  {figures['requests_per_s']:.0f} requests/s, p99 {figures['p99']:.2f} ms")
                runs.setdefault((mode, who), []).append(figures)
    text = table({key: rig.median(done) for key, done in runs.items()}, args)
    (rig.TARGET / "gateway.md").write_text(text)
    print(text)


def one(args, zerobus, python, who, mode):
    _, path, rows, connections = MODES[mode]
    sink = rig.Sink(zerobus, store=not args.discard)
    with tempfile.TemporaryDirectory(prefix="gateway-") as name:
        directory = pathlib.Path(name)
        process, url = serve(directory, zerobus, python, who, sink)
        try:
            wait_for(url)
            (directory / "script.lua").write_text(SCRIPT)
            (directory / "body").write_text((json.dumps(ROW) + "\n") * rows)
            kind = "application/json" if rows == 1 else "application/x-ndjson"
            env = os.environ | {"BODY": str(directory / "body"), "KIND": kind}
            peak = rig.Peak(process.pid)

            def wrk(seconds):
                command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s"]
                command += ["-s", directory / "script.lua", url + path]
                out = subprocess.run(command, env=env, stdout=subprocess.PIPE, check=True, text=True).stdout
                return json.loads(out.splitlines()[-1])

            warm = wrk(1)
            said = wrk(args.seconds)
            request = urllib.request.Request(url + "/flush/one", method="POST")
            urllib.request.urlopen(request, timeout=60).read()
            mib = peak.end()
            # What was under way when wrk ended may have come as well.
            answered = sum(s["requests"] - s["status"] for s in (warm, said)) * rows
            received = sink.received()
            most = answered + 2 * connections * rows
            assert answered <= received <= most, f"{answered} answered, {received} received"
            assert said["lost"] == 0, said
            good = said["requests"] - said["status"]
            return {
                "requests_per_s": good / said["seconds"],
                "refused": said["status"] / said["requests"],
                "p50": said["p50"],
                "p99": said["p99"],
                "mib": mib,
            }
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
            sink.end()


def serve(directory, zerobus, python, who, sink):
    """Starts a service with one table `one`."""
    fields = [("device_name", "string"), ("temp", "int32"), ("humidity", "int64")]
    config = {
        "databricks": {"server_endpoint": sink.url, "workspace_id": "local", "workspace_url": sink.url},
        "tables": {"one": {"table_name": TABLE, "proto_package": "one", "message_name": "One", "fields": [
            {"name": name, "type": kind, "proto_type": f"optional {kind}", "field_num": number + 1}
            for number, (name, kind) in enumerate(fields)
        ]}},
    }
    file = directory / "config.json"
    file.write_text(json.dumps(config))
    port = free_port()
    env = os.environ | {"DATABRICKS_CLIENT_ID": "any", "DATABRICKS_CLIENT_SECRET": "any", "STATION_CONFIG": str(file)}
    env["PYTHONPATH"] = f"{rig.TARGET}:{rig.HERE}"
    if who == "station":
        command = [python, "-m", "uvicorn", "station:app", "--port", str(port), "--log-level", "warning", "--no-access-log"]
    else:
        command = [zerobus, "gateway", "--config", file, "--listen", f"127.0.0.1:{port}"]
        command += ["--spool", directory / "spool"] if who == "spool" else []
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    return process, f"http://127.0.0.1:{port}"


def free_port():
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_for(url):
    for _ in range(300):
        try:
            return urllib.request.urlopen(url + "/health").read()
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the service did not start")


def table(medians, args):
    lines = [
        f"Medians of {args.rounds} rounds of {args.seconds} s",
        "",
        "| | connections | | requests/s | | p50 ms | p99 ms | MiB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (mode, who), figures in medians.items():
        peer = medians.get((mode, "station"))
        ratio = f"{figures['requests_per_s'] / peer['requests_per_s']:.1f}x" if peer else ""
        refused = f" ({figures['refused']:.1%} answered 429)" if figures["refused"] else ""
        lines.append(
            f"| {MODES[mode][0]} | {MODES[mode][3]} | {NAMES[who]} | {figures['requests_per_s']:,.0f}{refused} | {ratio}"
            f" | {figures['p50']:.2f} | {figures['p99']:.2f} | {figures['mib']:.0f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
