"""Kills, faults and restarts at length: a real server, real loaders, and every row counted.

Usage: soak.py ZEROBUS [--rows 2000000] [--seed N] [SCENARIO...]

Each load prints one line of figures. A broken promise makes the exit code 1. Needs the PyPI
packages deltalake and pyarrow. Scenarios:
"""

import argparse
import gzip
import json
import os
import pathlib
import random
import signal
import subprocess
import tempfile
import time

import pyarrow.compute as pc
import pyarrow.dataset
from deltalake import DeltaTable

import delta_reader

PROTO = pathlib.Path(__file__).resolve().parent.parent / "samples" / "air_quality.proto"
TABLE = "main.default.air_quality"
HEADER = b"device_name,temp,humidity\n"
# All numbers are those of so many rows, and fewer with fewer.
ROWS = 2_000_000
WINDOW = 50_000
WAIT_MAX_S = 600


class Inputs:
    """Rows in files. Good ones hold their number among the good ones as their humidity; with
    `bad`, one in each hundred is bad."""

    def __init__(self, run, *names, bad=True):
        # Those of a load that can go on.
        self.flags = ["--checkpoint", "cp", "--resume", "--max-inflight", str(run.window), *names]
        self.flags += ["--rejects", "bad", "--max-errors", "2%"] * bad
        self.good, self.reasons, self.rejects = 0, [], HEADER if ".csv" in names[0] else b""
        share = run.rows // 100 // len(names)
        self.rows = share * 100 * len(names)
        for name in names:
            csv = ".csv" in name
            hundreds = [self.hundred(run.rng, name, csv, n * 100 + 1 + csv, bad) for n in range(share)]
            hundreds[0] = HEADER * csv + hundreds[0]
            with open(run.directory / name, "wb") as file:
                for n in range(0, share, 1_000):
                    text = b"".join(hundreds[n : n + 1_000])
                    # Several members: a load may have to go on in any of them.
                    file.write(gzip.compress(text, 1) if name.endswith(".gz") else text)

    def hundred(self, rng, name, csv, line, bad):
        form = "{},{},{}\n" if csv else '{{"device_name": "{}", "temp": {}, "humidity": {}}}\n'
        good = range(self.good, self.good + 100 - bad)
        self.good = good.stop
        rows = [form.format(f"sensor-{n % 97}", n % 50, n) for n in good]
        if bad:
            line += (at := rng.randrange(100))
            rows.insert(at, form.format(f"line {line}", '"bad"', line))
            self.rejects += rows[at].encode()
            self.reasons.append((name, line))
        return "".join(rows).encode()


class Run:
    """One load: a directory, a server, and loaders one after another."""

    def __init__(self, args, directory, name, window):
        self.zerobus, self.rows, self.directory = args.zerobus.resolve(), args.rows, directory
        self.rng = random.Random(f"{args.seed} {name} {window}")
        self.window = self.scaled(window)
        self.table = directory.joinpath("wh", *TABLE.split("."))
        self.listen, self.server, self.loader = "127.0.0.1:0", None, None

    def scaled(self, number):
        return max(1, number * self.rows // ROWS)

    def serve(self, *faults, every="0s"):
        self.served_with = ["--commit-interval", every, *(word for f in faults for word in ("--fault", f))]
        self.start_server()

    def start_server(self):
        """Starts the server, again if one was killed."""
        if self.server:
            self.server.wait(WAIT_MAX_S)
        command = [self.zerobus, "emulator", "--dir", "wh", "--auto-create", "--listen", self.listen]
        command += ["--client", "soak:secret", "--seed", str(self.rng.randrange(1 << 32)), *self.served_with]
        self.server = subprocess.Popen(command, cwd=self.directory, stdout=subprocess.PIPE, text=True)
        url = self.server.stdout.readline().strip().partition("=")[2]
        self.listen = url.removeprefix("http://")
        self.env = {"ZEROBUS_ENDPOINT": url, "DATABRICKS_HOST": url}
        self.env |= {"DATABRICKS_CLIENT_ID": "soak", "DATABRICKS_CLIENT_SECRET": "secret"}

    def load(self, *flags, patient=True):
        """Starts a loader; a patient one tries again soon and often."""
        flags += ("--recovery-backoff", "10ms", "--recovery-retries", "1000") * patient
        self.spawn([self.zerobus, "ingest", "--table", TABLE, "--proto", PROTO, "-q", "-o", "json", *flags])

    def spawn(self, command):
        with open(self.directory / "out", "wb") as out, open(self.directory / "err", "ab") as err:
            self.loader = subprocess.Popen(command, cwd=self.directory, env=self.env, stdout=out, stderr=err)

    def wait_for(self, moved, what):
        deadline = time.monotonic() + WAIT_MAX_S
        while not moved():
            assert self.loader.poll() is None and time.monotonic() < deadline, f"{what}: {self.said()[-300:]}"
            time.sleep(0.002)

    def ended(self, code):
        """Waits for the loader; returns its summary."""
        got = self.loader.wait(WAIT_MAX_S)
        assert got == code, f"exit code {got}, not {code}: {self.said()[-300:]}"
        return json.loads((self.directory / "out").read_text())

    def completed(self, inputs):
        """Waits for the loader that completes the load; returns its summary."""
        summary = self.ended(3 if inputs.reasons else 0)
        total = summary["total"] = summary["total"] or summary["records"]
        expected = {"read": inputs.rows, "acked": inputs.good, "rejected": len(inputs.reasons)}
        assert expected.items() <= total.items(), f"the total is {expected}: {total}"
        self.server.terminate()
        assert self.server.wait(WAIT_MAX_S) == 0, "the server ends with 0"
        return summary

    def stop(self):
        for process in filter(None, (self.loader, self.server)):
            process.kill()
            process.wait()

    def said(self):
        return (self.directory / "err").read_text()

    def settled(self):
        """Records settled by the checkpoint."""
        file = self.directory / "cp"
        return json.loads(file.read_text())["records"]["accepted"] if file.exists() else 0

    def commits(self):
        return delta_reader.commits(self.table / "_delta_log")

    def landed(self):
        """The numbers of all rows, in the order in which they were committed."""
        files = delta_reader.replay(self.table, from_checkpoint=False).files()
        known = {uri.removeprefix("file://") for uri in DeltaTable(self.table).file_uris()}
        assert known == set(files), "the table's files are those of its commits"
        return pyarrow.dataset.dataset(files).to_table(columns=["humidity"])["humidity"].combine_chunks()

    def holds_first(self, count):
        assert self.landed().equals(pyarrow.array(range(count), "int64")), f"the table is the first {count} rows"

    def ended_early(self, code):
        """Waits for a loader; what it tells is what is in the table."""
        records = self.ended(code)["records"]
        assert records["in_doubt"] == records["unsent"] == 0, f"what is accepted is acknowledged: {records}"
        self.holds_first(records["acked"])
        return records

    def counted(self, inputs, breaks):
        """Nothing is lost, at most a window is there twice for each break, and rejects are kept once."""
        numbers = self.landed()
        distinct = pc.count_distinct(numbers).as_py()
        twice = len(numbers) - distinct
        # Where the numbers go back, an earlier loader or connection was repeated.
        steps = pc.subtract(numbers.slice(1), numbers.slice(0, len(numbers) - 1))
        repeat = max(0, 1 - pc.min(steps).as_py())
        figures = {"breaks": breaks, "lost": inputs.good - distinct, "twice": twice}
        figures |= {"twice_max": breaks * self.window, "longest_repeat": repeat, "window": self.window}
        assert pc.max(numbers).as_py() < inputs.good == distinct, f"nothing is lost: {figures}"
        assert twice <= breaks * self.window and repeat <= self.window, f"few rows are there twice: {figures}"
        if inputs.reasons:
            assert (self.directory / "bad").read_bytes() == inputs.rejects, "the rejects are the bad rows"
            reasons = map(json.loads, (self.directory / "bad.reasons.ndjson").open())
            assert [(r["source"], r["line"]) for r in reasons] == inputs.reasons, "the reasons are those of bad"
            assert not (self.directory / "bad.1").exists(), "the rejects are in one file"
        return figures | {"rejects": len(inputs.reasons)}


def faults(window):
    """Faults of all kinds, so that about every second stream meets one."""
    early, half = window // 4, window // 2
    return f"""drop:p=0.2,after={half} close:p=0.2,after={half},grace=30s delay:p=0.2,for=20ms
        throttle:p=0.1,after={half},times=10 fail:p=0.1,after={window},status=INTERNAL
        wrong-ack:p=0.1,after={early},offset=beyond,times=8 wrong-ack:p=0.1,after={early},offset=back,times=8
        fail:at=create,p=0.05 throttle:at=token,p=0.05,times=2""".split()


def kills(run, names=("rows.ndjson",), count=50, every="0s"):
    """The loader is killed again and again: often soon after its start, else once it has settled rows."""
    inputs = Inputs(run, *names)
    run.serve(*faults(run.window), every=every)
    for kill in range(count := run.scaled(count)):
        before = run.settled()
        run.load(*inputs.flags)
        if run.rng.random() < 0.3:
            time.sleep(run.rng.uniform(0, 0.1))
        else:
            run.wait_for(lambda: run.settled() > before, f"kill {kill} strikes")
            time.sleep(run.rng.uniform(0, 0.02))
        run.loader.kill()
        assert run.loader.wait() == -signal.SIGKILL, f"kill {kill} strikes: {run.said()[-300:]}"
    figures = {"kills": count, "settled_then": run.settled()}
    run.load(*inputs.flags)
    figures["acked"] = run.completed(inputs)["total"]["acked"]
    return figures | run.counted(inputs, count + run.said().count("warning: reconnecting"))


def servers(run):
    """A load whose server is killed and started again and again."""
    inputs = Inputs(run, "rows.ndjson")
    run.serve(*faults(run.window), f"expire-tokens:p=0.1,after={run.window}", every="50ms")
    run.load(*inputs.flags)
    for kill in range(count := run.scaled(20)):
        before = len(run.commits())
        run.wait_for(lambda: len(run.commits()) > max(before, 1), f"kill {kill} strikes")
        time.sleep(run.rng.uniform(0, 0.2))
        run.server.kill()
        run.start_server()
    summary = run.completed(inputs)
    figures = {"kills": count} | summary["records"] | run.counted(inputs, summary["streams"][0]["reconnects"])
    assert figures["twice"] <= figures["resent"], f"what is there twice was sent again: {figures}"
    return figures


def rotations(run):
    """Close signals are routine: nothing is sent again, nothing said."""
    inputs = Inputs(run, "rows.ndjson", bad=False)
    run.serve(f"close:after={run.rows // 50 - run.window},grace=30s")
    run.load(*inputs.flags)
    summary = run.completed(inputs)
    figures = {"reconnects": summary["streams"][0]["reconnects"], "resent": summary["records"]["resent"]}
    assert list(figures.values()) == [0, 0] and not run.said(), f"all is routine: {figures} {run.said()}"
    assert summary["rotations"] >= 40, f"there are 40: {summary}"
    return {"rotations": summary["rotations"]} | figures | run.counted(inputs, 0)


def stall(run):
    """A server that is silent is left in time: for tokens, for a new stream, and on one."""
    inputs = Inputs(run, "rows.ndjson", bad=False)
    run.serve(f"stall:after={run.rows // 4},times=1", "stall:at=create,times=1", "stall:at=token,times=1")
    begin = time.time()
    run.load(*inputs.flags, "--ack-timeout", "5s", "--recovery-timeout", "4s")
    run.completed(inputs)
    times = [commit.stat().st_mtime for commit in run.commits()[1:]]
    silent = max(late - early for early, late in zip(times, times[1:]))
    figures = {"silent_s": round(silent, 2), "first_commit_s": round(times[0] - begin, 2)}
    assert 5 <= silent < 7 and 8 <= times[0] - begin < 10, f"after 5 s, and before twice 4 s: {figures}"
    return figures | run.counted(inputs, 1)


def gone(run):
    """A server that goes away ends the load in time; the printed command completes it."""
    inputs = Inputs(run, "rows.ndjson")
    run.serve(every="100ms")
    run.load(*inputs.flags, "--recovery-deadline", "5s", patient=False)
    run.wait_for(lambda: run.settled() > run.rows // 4, "a quarter is acknowledged")
    run.server.kill()
    begin = time.monotonic()
    figures = {"acked_before": run.ended(5)["records"]["acked"]}
    figures["until_exit_5_s"] = round(time.monotonic() - begin, 2)
    # A wait of 4 s, and a quarter more by chance, may have begun before.
    assert 5 <= figures["until_exit_5_s"] < 11, f"it ends after 5 s: {figures}"
    figures["command"] = run.said().partition("go on with: ")[2].partition("\n")[0]
    run.start_server()
    run.spawn(["/bin/sh", "-c", figures["command"]])
    run.completed(inputs)
    return figures | run.counted(inputs, 1)


def interrupt(run):
    """SIGINT leaves exactly the prefix that the summary tells; the rest completes it exactly."""
    inputs = Inputs(run, "rows.ndjson", bad=False)
    run.serve(every="100ms")
    run.load(*inputs.flags)
    run.wait_for(lambda: run.settled() > run.rows // 4, "a quarter is acknowledged")
    run.loader.send_signal(signal.SIGINT)
    acked = run.ended_early(130)["acked"]
    assert 0 < acked < inputs.good, f"it is in the middle: {acked}"
    run.load(*inputs.flags)
    run.completed(inputs)
    run.holds_first(inputs.good)
    return {"acked_before": acked} | run.counted(inputs, 0)


def disk(run):
    """Rejects that cannot be written end the load; what was accepted is acknowledged."""
    Inputs(run, "rows.ndjson")
    (run.directory / "full").symlink_to("/dev/full")
    run.serve()
    run.load("--rejects", "full", "--max-errors", "2%", "rows.ndjson")
    records = run.ended_early(1)
    assert records["acked"] > 0, f"rows are acknowledged: {records}"
    return {"exit_code": 1} | records


# Each load's scenario, function and window, and what else the function takes.
LOADS = [
    ("kills", kills, WINDOW, {}),
    ("kills", kills, WINDOW // 10, {"every": "50ms"}),
    ("servers", servers, WINDOW, {}),
    ("servers", servers, WINDOW // 10, {}),
    ("rotations", rotations, WINDOW // 10, {}),
    ("stall", stall, WINDOW, {}),
    ("stall", gone, WINDOW, {}),
    ("interrupt", interrupt, WINDOW, {}),
    ("disk", disk, WINDOW, {}),
    ("compressed", kills, WINDOW, {"names": ["rows.ndjson.gz"], "count": 10, "every": "50ms"}),
    ("compressed", kills, WINDOW, {"names": ["a.csv.gz", "b.csv"], "count": 10, "every": "50ms"}),
]


def main():
    scenarios = list(dict.fromkeys(name for name, *_ in LOADS))
    parser = argparse.ArgumentParser(description=__doc__ + ", ".join(scenarios))
    parser.add_argument("zerobus", type=pathlib.Path)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("scenario", nargs="*", metavar="SCENARIO")
    args = parser.parse_intermixed_args()
    chosen = args.scenario or scenarios
    if unknown := set(chosen).difference(scenarios):
        parser.error(f"no such scenario: {', '.join(unknown)}")
    print(f"seed {args.seed}, {args.rows} rows", flush=True)
    broken = sum(not is_kept(args, *load) for load in LOADS if load[0] in chosen)
    print(f"{broken} broken" if broken else "all promises are kept", flush=True)
    return broken > 0


def is_kept(args, name, function, window, more):
    """Runs a load; whether its promises are kept."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="soak-") as directory:
        run = Run(args, pathlib.Path(directory), name, window)
        try:
            figures = function(run, **more)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            figures = {"BROKEN": str(error)}
        finally:
            run.stop()
    told = " ".join(f"{what}={value!r}" for what, value in figures.items())
    print(f"{name}: {told} seconds={time.monotonic() - begin:.0f}", flush=True)
    return "BROKEN" not in figures


if __name__ == "__main__":
    # The reader's threads can abort an interpreter that ends in the usual way.
    os._exit(main())
