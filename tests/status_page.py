"""Opens the status page in a browser during a load and sees its figures rise, without a reload.

Usage: status_page.py ZEROBUS [--screenshot FILE] [--dark]

Needs Chromium or Chrome; where there is none Debian's is installed if this is root, and else
the check is skipped.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time

from browser import Browser, find_chromium

SAMPLES = pathlib.Path(__file__).resolve().parent.parent / "samples"
TABLE = "main.default.air_quality"
# An element, where a page takes a name for HTML.
HOSTILE = "main.default.<img>"
ROWS = 200_000
ROWS_PER_SECOND = 2_000


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


if __name__ == "__main__":
    main()
    sys.stdout.flush()
