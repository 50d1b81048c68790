"""Measures what the loader needs: memory by the input's size and the sink's speed, CPU by the
number of rows, time to start. Prints one table; nothing is asserted of the figures.
"""

import argparse
import pathlib
import statistics
import time

import rig

INFLIGHT = ("--max-inflight", "1000000")
LATE = "delay:at=stream,for=5s"
# Bytes of a row, about.
ROW_BYTES = {"narrow": 53, "wide": 582}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zerobus", type=pathlib.Path, help="a loader that is built already")
    parser.add_argument("--large", type=int, default=4_000_000_000, help="bytes of the large inputs")
    # What is in flight is acknowledged once in 5 s: more of it only takes longer.
    parser.add_argument("--late", type=int, default=500_000_000, help="the same for a late sink")
    args = parser.parse_args()
    zerobus = rig.build(args.zerobus)
    print("| what | figure |\n|---|---|")
    for kind, size in ROW_BYTES.items():
        for sink, totals, flags in (
            ("fast sink", (100_000_000, args.large), ()),
            ("acks 5 s late", (100_000_000, args.late), ("--fault", LATE)),
        ):
            for total in totals:
                rows = total // size
                file = rig.data(kind, rows)
                command = rig.ours(zerobus, kind, file, *INFLIGHT)
                figures = rig.against_sink(zerobus, command, rows, *flags)
                show(f"peak memory, {kind}, {total / 1e6:,.0f} MB, {sink}", f"{figures['mib']:.0f} MiB")
                if total > 100_000_000:
                    file.unlink()
    cpu = {}
    for rows in (1_000_000, 10_000_000):
        command = rig.ours(zerobus, "narrow", rig.data("narrow", rows), *INFLIGHT)
        runs = [rig.against_sink(zerobus, command, rows) for _ in range(5)]
        cpu[rows] = statistics.median(run["cpu"] for run in runs)
    few, many = cpu.values()
    show("CPU, 1 M and 10 M narrow rows", f"{few:.3f} s and {many:.3f} s: {many / few:.1f} x")
    show("--version", f"{started([zerobus, '--version']):.1f} ms")
    one = rig.data("narrow", 1)
    dry = [zerobus, "ingest", "--dry-run", "--table", "a.b.c", "--proto", rig.PROTOS["narrow"], "-q", one]
    show("--dry-run of one row", f"{started(dry):.1f} ms")
    show("the same of /bin/true", f"{started(['/bin/true']):.1f} ms")


def started(command, times=40):
    """Milliseconds from start to end of a command, the median."""
    walls = []
    for _ in range(times):
        begin = time.monotonic()
        rig.run_quietly(command)
        walls.append(time.monotonic() - begin)
    return 1000 * statistics.median(walls)


def show(what, figure):
    print(f"| {what} | {figure} |", flush=True)


if __name__ == "__main__":
    main()
