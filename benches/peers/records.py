"""Measures our library beside the official Rust SDK, one record at a time on one stream.

Each round runs both in turn, each against a fresh sink. Prints a table of medians, and writes it
to target/peers/records.md. Nothing is asserted of the times.
"""

import argparse
import json
import pathlib

import rig

# A task that waits for each record sends few; its rows a second are those of a round trip.
MODES = {"flow": 2_000_000, "each": 20_000}
TASKS = (1, 8, 64)
NAMES = {"ours": "zerobus", "official": "Rust SDK 2.12"}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zerobus", type=pathlib.Path, help="a loader that is built already")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    zerobus = rig.build(args.zerobus)
    runs = {}
    for number in range(args.rounds):
        for mode, rows in MODES.items():
            for tasks in TASKS:
                for who in NAMES:
                    rig.say(f"round {number + 1} of {args.rounds}: {NAMES[who]}, {mode}, {tasks}")
                    count = rows * tasks if mode == "each" and tasks <= 8 else rows
                    figures = one(zerobus, who, mode, tasks, max(count, 200_000 if tasks == 64 else 0))
                    runs.setdefault((mode, tasks, who), []).append(figures)
    medians = {key: rig.median(done) for key, done in runs.items()}
    text = table(medians)
    (rig.TARGET / "records.md").write_text(text)
    print(text)


def one(zerobus, who, mode, tasks, rows):
    rows = rows // tasks * tasks
    program = [rig.TARGET / "release/records", who, mode, str(tasks), str(rows)]
    said = {}

    def command(sink):
        return [*program, sink.url, "main.default.narrow", rig.PROTOS["narrow"]]

    sink = rig.Sink(zerobus)
    try:
        output, figures = rig.run(command(sink), sink.env)
        said = json.loads(output)
        assert said["records"] == rows == sink.received(), said
        return {
            "rows_per_s": rows / said["seconds"],
            "p50": said["p50"],
            "p99": said["p99"],
            "cpu": figures["cpu"] / rows * 1e6,
            "sink_cpu": sink.cpu_s() / rows * 1e6,
            "mib": figures["mib"],
        }
    finally:
        sink.end()


def table(medians):
    lines = [
        "| tasks | each waits | client | rows/s | | ack p50 ms | p99 ms | | CPU s per M rows | sink's |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (mode, tasks, who), run in medians.items():
        base = medians[mode, tasks, "official"]
        waits = "yes" if mode == "each" else "no"
        lines.append(
            f"| {tasks} | {waits} | {NAMES[who]} | {run['rows_per_s']:,.0f} |"
            f" {run['rows_per_s'] / base['rows_per_s']:.2f} x | {run['p50'] / 1e3:.3f} |"
            f" {run['p99'] / 1e3:.3f} | {run['p99'] / base['p99']:.2f} x |"
            f" {run['cpu']:.2f} | {run['sink_cpu']:.2f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
