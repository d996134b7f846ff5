"""Every file that breaks readers, through the real import: read rightly or refused in words; no crash, no hang, no flood."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

WALK = """
import json, re, signal, sys, tempfile
from pathlib import Path
from engine.devices import prepare_environment
prepare_environment()
from engine.commands.data.datasets import Add
from engine.data.rows import window
from engine.errors import BitternError
from engine.jobs.context import CancelToken, JobContext
from engine.store.workspace import Workspace

class Hang(BaseException): ...
def hang(*_): raise Hang
signal.signal(signal.SIGALRM, hang)
with tempfile.TemporaryDirectory() as home:
    workspace = Workspace(Path(home))
    job = JobContext("1", workspace, lambda event: None, CancelToken(), resumed=False)
    for line in sys.stdin:
        path = line.rstrip("\\n")
        signal.alarm(20)
        try:
            Add(source=path, name="it", test=0).work(job)
            record = workspace.datasets.get("it")
            told = {"rows": window(record, "train", 0, 20), "count": record.rows}
            workspace.datasets.remove("it")
        except BitternError as error:
            told = {"error": error.message, "hint": error.hint}
        except Hang:
            told = {"crash": "hang"}
        except Exception as error:
            told = {"crash": repr(error)}
        signal.alarm(0)
        # Not ru_maxrss: that one begins with what the process that started this one had.
        peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024
        print(json.dumps({"path": path, "megabytes": peak, **told}), flush=True)
    workspace.close()
"""


@pytest.fixture(scope="module")
def told(data: Path) -> dict[str, dict[str, Any]]:
    """What became of each file, by its path within the public data."""
    files = [path for folder in ("bad-csv", "bad-json", "bad-parquet") for path in sorted((data / folder).rglob("*")) if path.is_file()]
    done = subprocess.run(
        [sys.executable, "-c", WALK], input="".join(f"{path}\n" for path in files), text=True, capture_output=True, timeout=600, check=False
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0 and len(found) == len(files), f"it died at {files[len(found)]}: {done.stderr[-2000:]}"
    return {item["path"].removeprefix(f"{data}/"): item for item in found}


@pytest.mark.slow
def test_no_crash_no_hang_no_flood(told: dict[str, dict[str, Any]]) -> None:
    assert len(told) > 400
    assert not {path: item["crash"] for path, item in told.items() if "crash" in item}
    assert max(item["megabytes"] for item in told.values()) < 2048
    for path, item in told.items():
        assert item.get("count") or (item["error"] and item["hint"]), path
        assert "Traceback" not in item.get("error", "")


@pytest.mark.slow
def test_csv_is_read_rightly(told: dict[str, dict[str, Any]], data: Path) -> None:
    folder = data / "bad-csv" / "csv-spectrum"
    for file in sorted((folder / "csvs").glob("*.csv")):
        expected = json.loads((folder / "json" / f"{file.stem}.json").read_text("utf-8").replace(r"\r\n", r"\n"))  # the CSVs have plain line ends
        rows = told[f"bad-csv/csv-spectrum/csvs/{file.name}"]["rows"]
        if file.stem == "location_coordinates":  # the set's own JSON has another telephone number than its CSV
            assert [row["Contact Phone Number"] for row in rows] == [2095257564]
            continue
        assert [{key: "" if value is None else str(value) for key, value in row.items()} for row in rows] == expected, file.name


@pytest.mark.slow
def test_json_that_is_none_is_refused(told: dict[str, dict[str, Any]]) -> None:
    by_kind: dict[str, list[str]] = {"y": [], "n": [], "i": []}
    for path in told:
        name = path.rsplit("/", 1)[1]
        if path.startswith("bad-json/test_parsing/") and name[:2] in ("y_", "n_", "i_"):
            by_kind[name[0]].append(path)
    assert not [path for path in by_kind["n"] if "rows" in told[path]]
    # What is JSON but no rows (a number, an empty list) or says a key twice is refused, but never for its syntax.
    for path in by_kind["y"]:
        assert "rows" in told[path] or any(
            word in told[path]["error"] for word in ("holds no rows", "stands twice", "is no object", "do not stay the same")
        ), told[path]
    assert sum("rows" in told[path] for path in by_kind["y"]) > 40
