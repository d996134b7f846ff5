"""Opening a dataset and reading its first window, at one million and ten million rows, beside ``load_from_disk(...)[:100]``.

Each measurement is a process of its own; imports are not counted. The peak of memory (Linux) is the whole process's.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

ROUNDS = 5
SIZES = {"open-1m": 1_000_000, "open-10m": 10_000_000}
MEASURE = """
import json, re, sys, time
name, rows, who, at = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
if who == "bittern":
    import pyarrow  # it is imported when it is first needed; that is not counted
    from engine.data.looking.view import View
    from engine.store.datasets import DatasetRecord
    from tests.bench.tables import folder
    record = DatasetRecord(name, "made", str(folder(name)), name, {"train": rows}, {}, "table", {}, 0)
    began = time.perf_counter()
    found = [row for _, row in View(record, "train").window(at, 100)]
else:
    from datasets import load_from_disk
    from tests.bench.tables import folder
    began = time.perf_counter()
    columns = load_from_disk(str(folder(name) / "train"))[at:at + 100]
    found = [dict(zip(columns, values)) for values in zip(*columns.values())]
took = time.perf_counter() - began
peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
print(json.dumps({"ms": took * 1000, "peak": peak / 1000, "rows": len(found), "first": found[0]}))
"""


def measure(name: str, rows: int, who: str, at: int) -> dict[str, object]:
    done = subprocess.run([sys.executable, "-c", MEASURE, name, str(rows), who, str(at)], check=True, capture_output=True, text=True)
    found: dict[str, object] = json.loads(done.stdout)
    return found


def main() -> None:
    from tests.bench.tables import dataset, narrow

    medians: dict[tuple[str, str], tuple[float, float]] = {}
    for name, rows in SIZES.items():
        dataset(name, rows, narrow)
        for where, at in {"first": 0, "last": rows - 100}.items():
            told: dict[str, list[dict[str, object]]] = {"bittern": [], "datasets": []}
            for _ in range(ROUNDS):
                for who, found in told.items():
                    found.append(measure(name, rows, who, at))
            assert all(found["first"] == told["datasets"][0]["first"] and found["rows"] == 100 for many in told.values() for found in many)
            for who, many in told.items():
                ms, peak = (statistics.median(float(str(found[key])) for found in many) for key in ("ms", "peak"))
                medians[f"{name} {where}", who] = ms, peak
                print(f"{rows:>12,} rows, {where:<5} window  {who:<9} {ms:7.0f} ms   peak {peak:6.0f} MB")
            ours, theirs = medians[f"{name} {where}", "bittern"], medians[f"{name} {where}", "datasets"]
            print(f"{'':>12}                        ratio of times {ours[0] / theirs[0]:.2f}")
    small, large = medians["open-1m first", "bittern"], medians["open-10m first", "bittern"]
    print(f"ten million rows: {large[0]:.0f} ms (under 1000); memory beside one million: {large[1] / small[1]:.2f} times")


if __name__ == "__main__":
    main()
