"""Opens the gateway's documentation in a browser, sends a record from it, and finds it in the table.

Usage: docs_page.py ZEROBUS [--screenshot FILE] [--dark]

Needs Chromium or Chrome; where there is none Debian's is installed if this is root, and else
the check is skipped.
"""

import argparse
import json
import pathlib
import subprocess
import tempfile

from browser import Browser, find_chromium

CONFIG = pathlib.Path(__file__).resolve().parent.parent / "samples/gateway/config.json"
TOKEN = "a token of the test"
BLOCK = "document.getElementById('POST /ingest/station_two')"
RECORD = {"device_name": "<b>browser</b>", "temp": 21, "humidity": 9007199254740993, "description": "sent from the page"}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("zerobus", type=pathlib.Path)
    parser.add_argument("--screenshot", type=pathlib.Path)
    parser.add_argument("--dark", action="store_true")
    args = parser.parse_args()
    chromium = find_chromium()
    if chromium is None:
        print("documentation: SKIPPED, there is no Chromium and it cannot be installed")
        return
    # The browser may still write to its profile when it has been told to end.
    with tempfile.TemporaryDirectory(prefix="docs-", ignore_cleanup_errors=True) as directory:
        check(args, chromium, pathlib.Path(directory))


def check(args, chromium, directory):
    zerobus = args.zerobus.resolve()
    (directory / "config.json").write_text(CONFIG.read_text())
    (directory / ".env").write_text(f"GATEWAY_TOKEN='{TOKEN}'\n")
    command = [zerobus, "gateway", "--config", directory / "config.json", "--listen", "127.0.0.1:0", "--local", directory / "wh"]
    gateway = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={})
    try:
        url = gateway.stdout.readline().split()[-1]
        with Browser(chromium, directory / "profile", args.dark) as browser:
            browser.open(f"{url}/docs")
            browser.wait_for("the operation", f"!!{BLOCK}")
            browser.evaluate(f"{BLOCK}.open = true")
            fields = browser.evaluate(f"[...{BLOCK}.querySelectorAll('.fields tbody code')].map((code) => code.textContent)")
            assert fields == list(RECORD), fields
            send(browser, RECORD)
            browser.wait_for("that a token is asked for", f"{answer()}.startsWith('401')")
            browser.evaluate(f"document.getElementById('token').value = {json.dumps(TOKEN)}")
            send(browser, {"temp": "warm"})
            browser.wait_for("what is wrong", f"{answer()}.startsWith('400') && {BLOCK}.querySelector('.answer pre').textContent.includes('\"field\": \"temp\"')")
            send(browser, RECORD)
            browser.wait_for("that it is durable", f"{answer()}.startsWith('200')")
            curl = browser.evaluate(f"{BLOCK}.querySelector('.curl').textContent")
            assert "wait_for_ack=true" in curl and TOKEN not in curl, curl
            if args.screenshot:
                args.screenshot.write_bytes(browser.screenshot())
            # The browser tells of each answer that is an error.
            complaints = [text for text in browser.complaints if "401" not in text and "400" not in text]
            assert not complaints, complaints
        gateway.terminate()
        assert gateway.wait() == 0
        peek = [zerobus, "peek", directory / "wh/main/default/station_two", "-o", "json"]
        table = json.loads(subprocess.run(peek, stdout=subprocess.PIPE, check=True).stdout)
        assert (table["rows"], table["sample"]) == (1, [RECORD]), table
    finally:
        gateway.kill()
        gateway.wait()
    print("documentation: a record that was sent from the page is in the table")


def answer():
    return f"{BLOCK}.querySelector('.answer p').textContent"


def send(browser, record):
    # Written as it is: a number of JavaScript's would be another.
    text = json.dumps(json.dumps(record))
    browser.evaluate(
        f"""{{
            const block = {BLOCK};
            block.querySelector('.answer p').textContent = '';
            block.querySelector('input[name=wait_for_ack]').checked = true;
            block.querySelector('textarea').value = {text};
            block.querySelector('button').click();
        }}"""
    )


if __name__ == "__main__":
    main()
