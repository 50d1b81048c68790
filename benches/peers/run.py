"""Measures the loader beside the official SDKs: same data, same sink, runs in turn.

Prints one table of medians, and writes it with the figures of each run to target/peers, and a
plot to benches/rows_per_second.svg. Nothing is asserted of the times.
"""

import argparse
import json
import os
import pathlib

import plot
import rig

INFLIGHT = ("--max-inflight", "1000000")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zerobus", type=pathlib.Path, help="a loader that is built already")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--narrow-rows", type=int, default=10_000_000)
    parser.add_argument("--wide-rows", type=int, default=1_500_000)
    parser.add_argument("--python-rows", type=int, default=1_000_000)
    parser.add_argument("--only", help="words, divided by commas, of the lines that are wanted")
    args = parser.parse_args()
    zerobus = rig.build(args.zerobus)
    lines = list(candidates(zerobus, args))
    if args.only:
        words = args.only.split(",")
        lines = [line for line in lines if any(word in " ".join(line[:2]) for word in words)]
    runs = [[] for _ in lines]
    for number in range(args.rounds):
        for line, done in zip(lines, runs):
            name, kind, file, rows, command, store = line
            rig.say(f"round {number + 1} of {args.rounds}: {name}, {kind}")
            done.append(rig.against_sink(zerobus, command, rows, store=store))
    figures = [summary(line, done) for line, done in zip(lines, runs)]
    text = table(figures)
    (rig.TARGET / "results.md").write_text(text)
    (rig.TARGET / "results.json").write_text(json.dumps(figures, indent=1))
    if not args.only:
        (rig.REPO / "benches/rows_per_second.svg").write_text(plot.svg(figures))
    print(text)


def candidates(zerobus, args):
    """All lines: name, data, file, rows, the command for a sink, whether rows are stored."""
    files = {
        "narrow": (rig.data("narrow", args.narrow_rows), args.narrow_rows),
        "wide": (rig.data("wide", args.wide_rows), args.wide_rows),
        "csv": (rig.data("csv", args.narrow_rows), args.narrow_rows),
    }
    few = min(args.python_rows, args.narrow_rows)
    interpreter = rig.python()

    def ours(name, kind, *flags, store=False):
        file, rows = files[kind]
        return name, kind, file, rows, rig.ours(zerobus, kind, file, *flags), store

    def rust(name, kind, mode):
        file, rows = files[kind]
        program = [rig.TARGET / "release/rust_sdk", mode]
        rest = [f"main.default.{kind}", rig.PROTOS[kind], file]
        return name, kind, file, rows, lambda sink: [*program, sink.url, *rest], False

    def python(name, mode):
        file = rig.data("narrow", few)
        program = ["env", f"PYTHONPATH={rig.TARGET}", "RUST_LOG=off", interpreter]
        program += [rig.HERE / "python_sdk.py", mode]
        rest = ["main.default.narrow", file, str(few)]
        return name, "narrow", file, few, lambda sink: [*program, sink.url, *rest], False

    for kind in ("narrow", "wide"):
        yield ours("zerobus", kind, *INFLIGHT)
        yield rust("Rust SDK, dynamic protobuf, batches of 1,000", kind, "batch")
        yield rust("Rust SDK, dynamic protobuf, one by one", kind, "single")
        yield rust("Rust SDK, JSON text unchecked, batches of 1,000", kind, "json")
        yield ours("zerobus --json, each row checked", kind, *INFLIGHT, "--json")
    yield python("Python SDK, README loop", "single")
    yield python("Python SDK, batches of 1,000", "batch")
    yield ours("zerobus", "csv", *INFLIGHT)
    yield ours("zerobus, every default (--max-inflight 50000)", "narrow")
    yield ours("zerobus, into a Delta table", "narrow", *INFLIGHT, store=True)


def summary(line, runs):
    name, kind, file, rows, _, _ = line
    median = rig.median(runs)
    return median | {
        "name": name,
        "data": kind,
        "rows": rows,
        "rows_per_s": rows / median["wall"],
        "mb_per_s": os.path.getsize(file) / median["wall"] / 1e6,
        "runs": runs,
    }


def table(figures):
    """Ratios are of our rows a second, by the same kind of rows, to the peer's."""
    lines = [
        "| loader | rows | rows/s | MB/s | CPU s per M rows | sink's | peak MiB | zerobus is |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for line in figures:
        base = next((f for f in figures if f["name"] == "zerobus" and f["data"] == line["data"]), None)
        ratio = base["rows_per_s"] / line["rows_per_s"] if base else 0
        millions = line["rows"] / 1e6
        lines.append(
            f"| {line['name']} | {line['data']} | {line['rows_per_s']:,.0f} | {line['mb_per_s']:,.0f} |"
            f" {line['cpu'] / millions:.2f} | {line['sink_cpu'] / millions:.2f} | {line['mib']:.0f} |"
            f" {ratio:.1f} x |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
