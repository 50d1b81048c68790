"""A headless Chromium, driven by its DevTools protocol over pipes."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time

PATIENCE_S = 60


def find_chromium():
    names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(["apt-get", "update"], **quiet)
        subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", "chromium"], **quiet)
        found = shutil.which("chromium")
    return found


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
