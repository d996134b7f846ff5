"""``make bench``: every figure, one script after another, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> int:
    scripts = sorted(path for path in HERE.glob("*.py") if not path.name.startswith("_") and path.stem not in ("home", "tables"))
    wanted = sys.argv[1:]
    failed = []
    for script in scripts:
        if wanted and script.stem not in wanted:
            continue
        print(f"\n== {script.stem} " + "=" * (70 - len(script.stem)), flush=True)
        if subprocess.run([sys.executable, "-m", f"tests.bench.{script.stem}"], check=False, cwd=HERE.parents[1]).returncode:
            failed.append(script.stem)
    if failed:
        print(f"\nnot measured: {', '.join(failed)}")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
