"""Faults while records come over HTTP: each one that was answered must be where the answer says.

Usage: gateway_soak.py ZEROBUS [--records 200000] [--seed N] [SCENARIO...]

Clients send bodies of 1 to 200 rows (5,000 where it is too much), wait for some, and send again what was answered 429 or 503.
Meanwhile the server is restarted, stalled, rotates its streams and refuses records; with a spool
the gateway is killed, too. Each scenario prints a line of figures. A broken promise makes the exit
code 1. Needs the PyPI packages deltalake and pyarrow.

Scenarios:
  plain     without a spool: each record answered 200 is in the table, and each answered 202
            once the gateway has ended
  spool     with one: the same, though the gateway is killed again and again
  overload  a slow server: 429 with Retry-After, then all goes on
"""

import argparse
import http.client
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time

from deltalake import DeltaTable

CONFIG = pathlib.Path(__file__).resolve().parent.parent / "samples/gateway/config.json"
CLIENTS = 8
DEADLINE_S = 3
# Threads of this interpreter wait for each other: an answer may have been there before it was seen.
SEEN_LATE_S = 1.5
WAIT_MAX_S = 300
# A record that the server refuses.
POISON = "poison"
FAULTS = [
    "close:after=9000,grace=200ms",
    "drop:after=5000,p=0.3",
    "fail:after=7000,p=0.2,status=UNAVAILABLE",
    "fail:after=12000,p=0.2,status=PERMISSION_DENIED",
    f"refuse-row:contains={POISON}",
]


class Run:
    """A server, a gateway before it, and what clients were answered."""

    def __init__(self, args, directory, name):
        self.zerobus, self.directory, self.name = args.zerobus.resolve(), directory, name
        self.rng = random.Random(f"{args.seed} {name}")
        self.records = args.records
        # Rows of a body, and how often a client waits.
        self.sizes, self.waits, self.poisons = [1, 1, 1, 10, 200], 0.3, True
        self.server, self.gateway = None, None
        self.listen, self.port = "127.0.0.1:0", 0
        self.lock = threading.Lock()
        self.next = 0
        # Numbers by what their last answer was; those that none came for are in doubt.
        self.durable, self.queued, self.doubtful, self.refused = set(), set(), set(), set()
        self.statuses, self.slowest, self.failures = {}, 0, []
        self.kills = self.restarts = self.stalls = 0

    def start_server(self, *faults):
        command = [self.zerobus, "emulator", "--dir", "wh", "--auto-create", "--listen", self.listen]
        command += ["--client", "soak:secret", "--seed", str(self.rng.randrange(1 << 32))]
        command += [word for fault in faults for word in ("--fault", fault)]
        quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
        self.server = subprocess.Popen(command, cwd=self.directory, **quiet)
        url = self.server.stdout.readline().strip().partition("=")[2]
        self.listen = url.removeprefix("http://")
        config = json.loads(CONFIG.read_text())
        config["databricks"] = {"server_endpoint": url, "workspace_id": "local", "workspace_url": url}
        (self.directory / "config.json").write_text(json.dumps(config))
        (self.directory / ".env").write_text("DATABRICKS_CLIENT_ID=soak\nDATABRICKS_CLIENT_SECRET=secret\n")

    def start_gateway(self, *flags):
        command = [self.zerobus, "gateway", "--config", "config.json", "--listen", f"127.0.0.1:{self.port}"]
        command += ["--deadline", f"{DEADLINE_S}s", *flags]
        with open(self.directory / "gateway.log", "ab") as log:
            self.gateway = subprocess.Popen(command, cwd=self.directory, stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.gateway.stdout.readline()
        assert line, f"the gateway did not start: {self.log()[-500:]}"
        self.port = int(line.rpartition(":")[2])

    def log(self):
        return (self.directory / "gateway.log").read_text()

    def client(self, seed):
        """Sends bodies until there are no numbers left."""
        rng = random.Random(seed)
        connection = None
        while True:
            count = rng.choice(self.sizes)
            with self.lock:
                numbers = list(range(self.next, min(self.next + count, self.records)))
                self.next += len(numbers)
            if not numbers:
                return
            waits = rng.random() < self.waits
            path = f"/ingest/station_one?wait_for_ack={str(waits).lower()}"
            poisoned = {n for n in numbers if self.poisons and n % 1_000 == 500}
            rows = [{"device_name": POISON if n in poisoned else "fine", "humidity": n} for n in numbers]
            body = "\n".join(map(json.dumps, rows))
            for _ in range(1_000):
                begin = time.monotonic()
                try:
                    connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
                    connection.request("POST", path, body, {"content-type": "application/x-ndjson"})
                    response = connection.getresponse()
                    answer = json.loads(response.read())
                except (OSError, http.client.HTTPException):
                    # Killed: whether it was accepted is not known.
                    connection = None
                    self.note(None, 0)
                    time.sleep(0.1)
                    with self.lock:
                        self.doubtful |= set(numbers)
                    continue
                took, status = time.monotonic() - begin, response.status
                self.note(status, took)
                again = status in (429, 502, 503, 504)
                with self.lock:
                    if again and (status in (429, 503)) != ("retry-after" in response.headers):
                        self.failures.append(f"{status} and Retry-After: {answer}")
                    if answer.get("in_doubt"):
                        self.doubtful |= set(numbers)
                    if status == 200:
                        self.durable |= set(numbers)
                        self.failures += [f"200 for {poisoned}"] if poisoned else []
                    elif status == 202:
                        self.queued |= set(numbers)
                    elif status == 400 and waits:
                        bad = {numbers[error["index"]] for error in answer["errors"]}
                        self.refused |= bad
                        self.durable |= set(numbers) - bad
                        self.failures += [] if bad == poisoned else [f"refused {bad}, not {poisoned}"]
                    elif not again:
                        self.failures.append(f"{status}: {answer}")
                if not again:
                    break
                time.sleep(0.1)
            else:
                self.failures.append(f"never accepted: {numbers[0]}")

    def note(self, status, took):
        with self.lock:
            self.statuses[status] = self.statuses.get(status, 0) + 1
            self.slowest = max(self.slowest, took)

    def clients(self):
        """Starts the clients; they are done once none is alive."""
        threads = [threading.Thread(target=self.client, args=(self.rng.random(),)) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        return threads

    def trouble(self, threads, gateway_flags):
        """Restarts and stalls the server, and kills the gateway, as long as clients send."""
        while any(thread.is_alive() for thread in threads):
            time.sleep(self.rng.uniform(0.5, 2))
            event = self.rng.choice(["restart", "stall", "kill"])
            if event == "stall":
                self.stalls += 1
                self.server.send_signal(signal.SIGSTOP)
                time.sleep(self.rng.uniform(0.2, 2 * DEADLINE_S))
                self.server.send_signal(signal.SIGCONT)
            elif event == "restart":
                self.restarts += 1
                self.server.send_signal(self.rng.choice([signal.SIGKILL, signal.SIGTERM]))
                self.server.wait(WAIT_MAX_S)
                time.sleep(self.rng.uniform(0, 2))
                self.start_server(*FAULTS)
            elif "--spool" in gateway_flags:
                self.kills += 1
                self.gateway.kill()
                self.gateway.wait()
                self.start_gateway(*gateway_flags)

    def settle(self):
        """Ends the gateway, which sends what it has, with a server that has no more faults."""
        self.server.terminate()
        self.server.wait(WAIT_MAX_S)
        self.start_server(f"refuse-row:contains={POISON}")
        deadline = time.monotonic() + WAIT_MAX_S
        while self.health()["unacknowledged"] > 0:
            assert time.monotonic() < deadline, f"not everything is sent: {self.health()}"
            time.sleep(0.2)
        self.gateway.terminate()
        assert self.gateway.wait(WAIT_MAX_S) == 0, f"the gateway ends with 0: {self.log()[-500:]}"
        self.server.terminate()
        assert self.server.wait(WAIT_MAX_S) == 0, "the server ends with 0"

    def health(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", "/health/station_one")
        return json.loads(connection.getresponse().read())

    def check(self, letters):
        """Counts. What is in the table twice was sent again."""
        rows = DeltaTable(self.directory / "wh/main/default/station_one").to_pyarrow_table(columns=["humidity"])
        landed = rows["humidity"].to_pylist()
        there = set(landed)
        file = self.directory / letters
        dead = [int(json.loads(line)["record"]["humidity"]) for line in file.read_text().splitlines()] if file.exists() else []
        lost = self.durable - there
        lost_queued = self.queued - there - set(dead)
        unknown = there - set(range(self.records))
        poisoned = {n for n in there if self.poisons and n % 1_000 == 500}
        problems = [*self.failures[:5]]
        problems += [f"{len(lost)} answered 200 are lost: {sorted(lost)[:5]}"] if lost else []
        problems += [f"{len(lost_queued)} answered 202 are lost: {sorted(lost_queued)[:5]}"] if lost_queued else []
        problems += ["records that nobody sent"] if unknown or poisoned else []
        problems += ["good records among the dead letters"] if any(n % 1_000 != 500 for n in dead) else []
        if self.slowest > DEADLINE_S + SEEN_LATE_S:
            problems.append(f"an answer took {self.slowest:.2f} s")
        statuses = {str(status): count for status, count in sorted(self.statuses.items(), key=str)}
        print(
            f"{self.name}: {self.records} records; answered 200 {len(self.durable)}, 202 {len(self.queued)},"
            f" lost {len(lost)} and {len(lost_queued)}; dead letters {len(dead)}, in the table twice"
            f" {len(landed) - len(there)}; {self.restarts} restarts, {self.stalls} stalls, {self.kills} kills;"
            f" answers {statuses}, slowest {self.slowest:.2f} s of {DEADLINE_S}",
            flush=True,
        )
        for problem in problems:
            print(f"  BROKEN: {problem}", flush=True)
        return not problems

    def stop(self):
        for process in filter(None, (self.gateway, self.server)):
            process.kill()
            process.wait()


def plain(run, *flags):
    run.start_server(*FAULTS)
    run.start_gateway(*flags)
    threads = run.clients()
    run.trouble(threads, flags)
    run.settle()
    return run.check("spool/dead-letters.ndjson" if flags else "dead-letters.ndjson")


def spool(run):
    return plain(run, "--spool", "spool")


def overload(run):
    """Acknowledgements come late, so that more is sent than may be in flight."""
    run.sizes, run.waits = [1, 5_000], 0.05
    # To find a refused record takes many acknowledgements.
    run.poisons = False
    run.start_server("delay:for=1s")
    run.start_gateway()
    for thread in run.clients():
        thread.join()
    assert run.statuses.get(429), f"nobody was asked to wait: {run.statuses}"
    run.settle()
    return run.check("dead-letters.ndjson")


SCENARIOS = {"plain": plain, "spool": spool, "overload": overload}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("zerobus", type=pathlib.Path)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO")
    args = parser.parse_intermixed_args()
    print(f"seed {args.seed}", flush=True)
    good = True
    for name in args.scenarios or SCENARIOS:
        with tempfile.TemporaryDirectory(prefix="soak-") as directory:
            run = Run(args, pathlib.Path(directory), name)
            try:
                good &= SCENARIOS[name](run)
            finally:
                run.stop()
    sys.exit(not good)


if __name__ == "__main__":
    main()
