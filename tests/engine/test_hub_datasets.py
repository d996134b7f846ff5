"""Datasets of a Hub on loopback, through the command line in a process of its own, as a person adds them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.hub import Hub, Trouble

if TYPE_CHECKING:
    from pathlib import Path

ROWS = "text,label\n" + "".join(f"a good long row of text number {n},{'ab'[n % 2]}\n" for n in range(60))
SCRIPT = """
import json, sys
from pathlib import Path
from engine.engine import Engine
from engine.errors import BitternError
from engine.jobs.context import CancelToken, JobContext
from engine.commands.parse import from_line
engine = Engine(Path(sys.argv[1]), working=False)
for number, line in enumerate(sys.stdin, start=1):
    said = []
    job = JobContext(str(number), engine.workspace, said.append, CancelToken(), resumed=False)
    try:
        result = from_line(line).work(job)
        loaded = [event.done for event in said if getattr(event, "note", "") == "downloading"]
        print(json.dumps({"note": result.body, "loaded": loaded, **result.data}))
    except BitternError as error:
        print(json.dumps(error.as_dict()))
engine.close()
"""


def ask(home: Path, hub: Hub, *lines: str) -> list[dict[str, Any]]:
    environment = {**os.environ, "HF_ENDPOINT": hub.address, "HF_HUB_OFFLINE": "0", "HF_HOME": str(home / "hf")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(home)],
        input="".join(f"{line}\n" for line in lines),
        env=environment,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
def test_datasets_of_the_hub(home: Path) -> None:
    hub = Hub({"train.csv": ROWS.encode(), "test.csv": ROWS[: ROWS.index("number 20")].rsplit("\n", 1)[0].encode() + b"\n"})
    hub.trouble = Trouble(cut=1000)
    whole, ten, five, revision, missing = ask(
        home, hub, "add org/set", "add org/set --rows 10 --name ten", "add org/set --split train[:5] --name five --test 0",
        f"add hf:org/set --revision {'a' * 40} --name old", "add org/missing",
    )  # fmt: skip
    assert whole["splits"] == {"train": 60, "test": 20} and whole["source"] == "hf:org/set" and whole["shape"] == "classification"
    assert whole["loaded"][-1] == sum(map(len, hub.files.values())), "the bytes are told"
    assert hub.downloads("train.csv")[1].endswith(f"bytes=1000-{len(ROWS) - 1}"), "a cut download goes on at the next byte"
    assert ten["splits"] == {"train": 10, "test": 10} and "only the first 10 rows of each split" in ten["note"]
    assert five["splits"] == {"train": 5} and five["source"] == "hf:org/set/train[:5]"
    assert revision["source"] == f"hf:org/set@{'a' * 40}"
    assert missing["error"] == "HubError" and "no dataset org/missing" in missing["message"] and missing["hint"]
    assert any("bytes=0-" in asked for asked in hub.asked), "a stream asks for the part it needs"


@pytest.mark.slow
def test_a_dataset_of_several_parts_offers_them(home: Path) -> None:
    card = "---\nconfigs:\n- config_name: first\n  data_files: a/x.csv\n- config_name: second\n  data_files: b/x.csv\n---\n"
    hub = Hub({"a/x.csv": ROWS.encode(), "b/x.csv": b"text,label\nonly one,a\n", "README.md": card.encode()})
    refused, second = ask(home, hub, "add org/parts", "add org/parts --subset second")
    assert "has 2 parts: first, second" in refused["message"]
    assert [repair["line"] for repair in refused["repairs"]] == ["add org/parts --subset first", "add org/parts --subset second"]
    assert second["dataset"] == "parts-second" and second["rows"] == 1
