"""Opens the status page in a browser during a load and sees its figures rise, without a reload.

Usage: status_page.py ZEROBUS [--screenshot FILE] [--dark]

Needs Chromium or Chrome; where there is none Debian's is installed if this is root, and else
the check is skipped. The browser is driven by its DevTools protocol over pipes.
"""

import argparse
import base64
import fcntl
import json
import os
import pathlib
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time

SAMPLES = pathlib.Path(__file__).resolve().parent.parent / "samples"
TABLE = "main.default.air_quality"
# An element, where a page takes a name for HTML.
HOSTILE = "main.default.<img>"
ROWS = 200_000
ROWS_PER_SECOND = 2_000
PATIENCE_S = 60


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("zerobus", type=pathlib.Path)
    parser.add_argument("--screenshot", type=pathlib.Path)
    parser.add_argument("--dark", action="store_true")
    args = parser.parse_args()
    chromium = find_chromium()
    if chromium is None:
        print("status page: SKIPPED, there is no Chromium and it cannot be installed")
        return
    # The browser may still write to its profile when it has been told to end.
    with tempfile.TemporaryDirectory(prefix="status-", ignore_cleanup_errors=True) as directory:
        check(args, chromium, pathlib.Path(directory))


def find_chromium():
    names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(["apt-get", "update"], **quiet)
        subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", "chromium"], **quiet)
        found = shutil.which("chromium")
    return found


def check(args, chromium, directory):
    zerobus = args.zerobus.resolve()
    server, env = start_server(zerobus, directory)
    load = None
    try:
        # Refused, for a table whose name is markup.
        rows = directory / "rows.ndjson"
        sample = (SAMPLES / "air_quality.ndjson").read_text()
        rows.write_text(sample * (ROWS // sample.count("\n")))
        with Browser(chromium, directory / "profile", args.dark) as browser:
            browser.open(env["ZEROBUS_ENDPOINT"] + "/")
            browser.wait_for("the page answers", "document.getElementById('contact')?.textContent === 'live'")
            browser.evaluate("window.stayed = true")
            refused = ingest(zerobus, env, HOSTILE, rows, "--table-check", "off", "--recovery-retries", "0")
            assert refused.wait() == 1, "a table that does not exist is refused"
            load = ingest(zerobus, env, TABLE, rows, "--rate-limit", str(ROWS_PER_SECOND))
            seen = [browser.wait_for("rows in the table", f"{ROWS_OF_TABLE} > 0 && {ROWS_OF_TABLE}")]
            while len(seen) < 4:
                seen.append(browser.wait_for("more rows", f"{ROWS_OF_TABLE} > {seen[-1]} && {ROWS_OF_TABLE}"))
            browser.wait_for("the chart's line", "new Set(document.getElementById('line').getAttribute('d').match(/ [\\d.]+/g)).size > 2")
            browser.wait_for("the stream", f"{text_of('streams')}.includes('{TABLE}') && {text_of('streams')}.includes('zerobus/')")
            browser.wait_for("the refusal", f"{text_of('refusals')}.includes({json.dumps(HOSTILE)})")
            if args.screenshot:
                time.sleep(6)
                args.screenshot.write_bytes(browser.screenshot())
            assert load.poll() is None, "the load was over before the page was looked at"
            assert browser.evaluate("window.stayed"), "the page was loaded again"
            assert browser.evaluate("document.querySelectorAll('img').length") == 0, "markup was taken for HTML"
            assert not browser.complaints, browser.complaints
            load.terminate()
            load.wait()
            browser.wait_for("the end of the stream", f"{text_of('streams')}.startsWith('none')")
            server.terminate()
            server.wait()
            browser.wait_for("the end of the server", "document.getElementById('contact').className === 'bad'")
    finally:
        for process in filter(None, [load, server]):
            process.kill()
            process.wait()
    print(f"status page: rows rise without a reload: {seen}")


def text_of(body):
    return f"document.getElementById('{body}').innerText"


ROWS_OF_TABLE = (
    "Number([...document.querySelectorAll('#tables tr')]"
    f".find((row) => row.cells[0].textContent === '{TABLE}')?.cells[1].textContent.replaceAll(',', '') ?? 0)"
)


def start_server(zerobus, directory):
    command = [zerobus, "emulator", "--dir", directory / "wh", "--listen", "127.0.0.1:0", "--auto-create"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    env = {}
    for line in server.stdout:
        if export := re.match(r"export (\w+)=(.*)", line):
            env[export[1]] = export[2]
        if "DATABRICKS_CLIENT_SECRET" in line:
            return server, env
    raise AssertionError("the server did not start")


def ingest(zerobus, env, table, rows, *more):
    proto = ["--json"] if table == HOSTILE else ["--proto", SAMPLES / "air_quality.proto"]
    command = [zerobus, "ingest", "--table", table, *proto, "-q", *more, rows]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, env=env, **quiet)


class Browser:
    """A headless browser with one page."""

    def __init__(self, chromium, profile, dark):
        requests, self.requests = pipe()
        self.responses, responses = pipe()

        def connect():
            # Where --remote-debugging-pipe wants them.
            os.dup2(requests, 3)
            os.dup2(responses, 4)

        command = [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"]
        command += ["--disable-dev-shm-usage", "--no-proxy-server", "--remote-debugging-pipe"]
        command += [f"--user-data-dir={profile}", "--window-size=1280,1000"]
        command += ["--force-dark-mode"] * dark + ["about:blank"]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        # What a browser that is killed leaves behind goes with the profile.
        env = os.environ | {"TMPDIR": str(profile.parent)}
        self.process = subprocess.Popen(command, env=env, preexec_fn=connect, pass_fds=(3, 4), **quiet)
        os.close(requests)
        os.close(responses)
        self.buffer = b""
        self.number = 0
        self.session = None
        self.complaints = []
        self.dark = dark

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def open(self, url):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Log.enable")
        self.call("Runtime.enable")
        if self.dark:
            dark = [{"name": "prefers-color-scheme", "value": "dark"}]
            self.call("Emulation.setEmulatedMedia", features=dark)
        self.call("Page.navigate", url=url)

    def evaluate(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, what, expression):
        """What the expression is once it is truthy."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if value := self.evaluate(expression):
                return value
            time.sleep(0.1)
        raise AssertionError(f"the page never showed {what}: {self.evaluate('document.body.innerText')}")

    def screenshot(self):
        return base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"])

    def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.requests, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]
            self.hear(answer)

    def hear(self, event):
        # Also what the page's Content-Security-Policy has stopped.
        if event.get("method") == "Log.entryAdded":
            entry = event["params"]["entry"]
            if entry["level"] == "error":
                self.complaints.append(entry["text"])
        if event.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(str(event["params"]))

    def receive(self):
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.responses], [], [], PATIENCE_S)
            assert ready, "the browser does not answer"
            piece = os.read(self.responses, 1 << 16)
            assert piece, "the browser has ended"
            self.buffer += piece
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)


def pipe():
    """A pipe whose ends leave 3 and 4 to the browser."""
    ends = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return high


if __name__ == "__main__":
    main()
    sys.stdout.flush()
