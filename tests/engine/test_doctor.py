"""Broken sources: the place, the count of good rows, a way out in one line, and never a silent loss."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine.data.rows import window
from engine.errors import DataError, DiskFull, Repair, Stopped, explain, from_dict
from engine.events import JobFailed, JobProgress
from tests.fakes.adding import CSV, Bench, every, write
from tests.fakes.follow import finish

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.engine import Engine
    from engine.events import Event
    from engine.store.datasets import DatasetRecord

BROKEN = 'x,y\n1,2\n3,4,5\n6,7\n8,"open\n9,10\n11,12\n'


def left_out(record: DatasetRecord) -> list[dict[str, Any]]:
    file = Path(record.folder) / "left-out.jsonl"
    assert str(file) in record.note
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def repaired(bench: Bench, error: Exception) -> DatasetRecord:
    """What comes of running the first repair, as its line says it."""
    from engine.commands.parse import from_line

    assert isinstance(error, DataError) and error.repairs
    command = from_line(error.repairs[0].line)
    return bench.add(command.source, **{**command.model_dump(exclude_defaults=True, exclude={"source"}), "test": 0})  # type: ignore[attr-defined]


def test_bad_rows_of_a_csv_file_are_left_out_and_listed(bench: Bench, tmp_path: Path) -> None:
    file = write(tmp_path / "bad rows.csv", BROKEN)
    error = bench.fails(file)
    assert "line 3, column 3: 3 fields where the header names 2. There stands: “3,4,5”. 4 rows are good, 2 not." in error.message
    assert error.repairs == (Repair("leave out the bad rows and list them", f'add "{file}" --bad skip'),)
    record = repaired(bench, error)
    assert every(record) == [{"x": 1, "y": 2}, {"x": 6, "y": 7}, {"x": 9, "y": 10}, {"x": 11, "y": 12}]
    assert "2 bad rows were left out" in record.note
    assert [(row["file"], row["line"], row["text"]) for row in left_out(record)] == [(file.name, 3, "3,4,5"), (file.name, 5, '8,"open')]


def test_bad_bytes(bench: Bench, tmp_path: Path) -> None:
    file = write(tmp_path / "b.csv", "text,n\nnaïve,1\ncafé,2\n".encode() + b"caf\xe9,3\nna\xc3\xafve,4\n")
    error = bench.fails(file)
    assert "b.csv, line 4, column 4: byte 0xe9 is not utf-8 text. There stands: “caf\\xe9,3”. 3 rows are good, 1 not." in error.message
    record = repaired(bench, error)
    assert [row["n"] for row in every(record)] == [1, 2, 4] and left_out(record)[0]["text"] == "caf\\xe9,3"
    file = write(tmp_path / "b.txt", "naïve\ncafé\n".encode() + b"caf\xe9\n")
    assert [row["text"] for row in every(repaired(bench, bench.fails(file, name="t")))] == ["naïve", "café"]


def test_bad_lines_of_json(bench: Bench, tmp_path: Path) -> None:
    lines = write(tmp_path / "l.jsonl", '{"a": 1}\n{"a": 2,}\n7\n{"a": 3}\n{"a": 4, "a": 5}\n')
    error = bench.fails(lines)
    assert "l.jsonl, line 2, column 9" in error.message and "3 rows are good, 2 not" in error.message
    record = repaired(bench, error)
    assert [row["a"] for row in every(record)] == [1, 3] and [row["line"] for row in left_out(record)] == [2, 3, 5]
    whole = write(tmp_path / "w.json", '[{"a": 1},\n {"a": 2},\n {"a" 3}, {"a": 4}]')
    error = bench.fails(whole)
    assert (
        "w.json, line 3, column 7" in error.message
        and "2 rows before it are good" in error.message
        and "There stands: “{'a' 3}, {'a': 4}]”.".replace("'", '"') in error.message
    )
    record = repaired(bench, error)
    assert [row["a"] for row in every(record)] == [1, 2] and left_out(record)[0]["text"] == '{"a" 3}, {"a": 4}]'
    assert "1 row before it is good." in bench.fails(write(tmp_path / "one.json", '[{"a": 1},\n {"a": 2')).message
    assert "nested too deeply" in bench.fails(write(tmp_path / "deep.json", "[" * 100_000)).message
    mixed = write(tmp_path / "m.json", '[{"a": 1}, 7, {"a": 2}]')
    assert [row["a"] for row in every(repaired(bench, bench.fails(mixed)))] == [1, 2]


def test_values_that_are_no_numbers(bench: Bench, tmp_path: Path) -> None:
    rows = "".join(f"{n},word {n}\n" for n in range(99))
    file = write(tmp_path / "n.csv", f"id,text\n{rows}n/a,last\n")
    record = bench.add(file, test=0)
    assert record.features["id"] == "string" and "“id” stays text: 1 of 100 values is no number (“n/a”)" in record.note
    record = bench.add(file, test=0, bad="cast")
    assert record.features["id"] == "int64" and every(record)[98:] == [{"id": 98, "text": "word 98"}, {"id": None, "text": "last"}]
    assert left_out(record) == [{"split": "train", "row": 99, "column": "id", "reason": "not a number", "text": "n/a"}]
    words = bench.add(write(tmp_path / "w.csv", "id,text\n" + "a,b\n" * 9 + "1,c\n"), test=0, bad="cast")
    assert words.features["id"] == "string" and "left-out" not in words.note


def test_a_broken_row_group(bench: Bench, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = tmp_path / "p.parquet"
    table = pa.table({"n": list(range(30)), "text": [os.urandom(20).hex() for _ in range(30)]})
    pq.write_table(table, file, row_group_size=10, compression="none", use_dictionary=False, write_page_checksum=True)
    at = pq.read_metadata(file).row_group(1).column(1).data_page_offset + 400  # past the header, within the page
    data = bytearray(file.read_bytes())
    data[at] ^= 0xFF
    write(file, bytes(data))
    error = bench.fails(file)
    assert "p.parquet: row group 1 (rows 10 to 19) can't be read" in error.message and "20 rows are good, 10 not" in error.message
    record = repaired(bench, error)
    assert [row["n"] for row in every(record)] == [*range(10), *range(20, 30)] and "row group 1" in left_out(record)[0]["reason"]


def test_a_cut_file(bench: Bench, tmp_path: Path) -> None:
    file = write(tmp_path / "c.csv.gz", gzip.compress(("text,n\n" + "".join(f"line {n},{n}\n" for n in range(5000))).encode())[:4000])
    error = bench.fails(file)
    assert "c.csv.gz is broken: it can be unpacked up to byte" in error.message
    record = repaired(bench, error)
    assert 100 < record.rows < 5000 and every(record)[:1] == [{"text": "line 0", "n": 0}] and "c.csv.gz: what follows" in record.note


def test_nothing_good_is_no_way_out(bench: Bench, tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", "x,y\n1\n2\n")
    assert not bench.fails(file).repairs
    assert "holds no rows" in bench.fails(file, bad="skip").message


def test_an_open_quote_in_every_line_ends(bench: Bench, tmp_path: Path) -> None:
    file = write(tmp_path / "q.csv", "x,y\n" + '1,"open\n' * 3001)
    assert "more than 1,000 not" in bench.fails(file).message


def test_repairs_cross_every_border(engine: Engine, tmp_path: Path) -> None:
    told = DataError("No.", "Hint.", [Repair("do it", "add x --bad skip")])
    assert from_dict(told.as_dict()).repairs == told.repairs and explain(told) is told
    assert "repairs" not in DataError("No.").as_dict()
    heard: list[Event] = []
    engine.subscribe(heard.append)
    file = write(tmp_path / "bad.csv", BROKEN)
    job = engine.run(engine.parse(f"add {file}")).data["job"]
    finish(engine, job, seconds=60, state="failed")
    expected = [{"label": "leave out the bad rows and list them", "line": f"add {file} --name bad --bad skip"}]
    assert engine.job(job).error["repairs"] == expected
    assert next(event for event in heard if isinstance(event, JobFailed)).repairs == expected
    finish(engine, engine.run(engine.parse(expected[0]["line"])).data["job"], seconds=60)
    assert engine.workspace.datasets.get("bad").rows == 4
    assert engine.job("2").summary.endswith("table; 2 left out or emptied, and listed")
    table = engine.run(engine.parse(f"job {job}")).table
    assert table is not None and ["try", expected[0]["line"]] in table.rows


class Asking(list[Any]):
    """Events that ask for a cancel at the first that speaks of ``stage``."""

    def __init__(self, bench: Bench, stage: str) -> None:
        super().__init__()
        self.bench, self.stage = bench, stage

    def append(self, event: Any) -> None:
        super().append(event)
        if isinstance(event, JobProgress) and self.stage in event.note:
            self.bench.token.ask("cancel")


@pytest.mark.parametrize("stage", ["fingerprint", "unpacking", "checking", "writing"])
def test_a_cancel_in_the_middle_leaves_nothing(bench: Bench, tmp_path: Path, stage: str) -> None:
    content = "text,label\n" + "a row,good\n" * 5000
    file = write(tmp_path / "c.csv.gz", gzip.compress(content.encode()))
    bench.events = Asking(bench, stage)
    with pytest.raises(Stopped):
        bench.add(file)
    assert not bench.workspace.datasets.all() and not list(bench.workspace.paths.datasets.iterdir())
    assert not [path for path in (bench.workspace.paths.root / "jobs").rglob("*") if path.is_file()]


def test_the_readers_stop_between_pieces(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from datasets import load_dataset_builder

    from engine.data.reading.read import prepared
    from engine.jobs.context import JobContext

    file = write(tmp_path / "c.csv", CSV)
    bench.token.ask("cancel")
    job = JobContext("1", bench.workspace, bench.events.append, bench.token, resumed=False)
    with pytest.raises(Exception) as caught:
        prepared(job, load_dataset_builder("csv", data_files=str(file), cache_dir=str(tmp_path / "cache")))
    assert isinstance(caught.value.__cause__ or caught.value, Stopped)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    if (
        os.name != "posix"
        or os.geteuid() != 0
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", place], check=False, capture_output=True).returncode
    ):
        pytest.skip("a small disk can be made by root alone")
    yield place
    subprocess.run(["umount", "-l", place], check=True)  # lazily: the rows of the old dataset are still mapped


@pytest.mark.parametrize("kind", ["csv", "jsonl", "csv.gz", "png"])
def test_a_full_disk_changes_nothing(small_disk: Path, tmp_path: Path, kind: str) -> None:
    bench = Bench(small_disk / "home")
    try:
        old = bench.add(write(tmp_path / "old.csv", CSV))
        text = os.urandom(500).hex()
        rows = {
            "csv": "text,n\n" + f"{text},1\n" * 20_000, "csv.gz": "text,n\n" + f"{text},1\n" * 20_000,
            "jsonl": f'{{"text": "{text}", "n": 1}}\n' * 20_000,
        }.get(kind, "")  # fmt: skip
        if kind == "png":
            from tests.engine.test_sources import picture

            for number in range(20):
                write(tmp_path / "big" / f"{number}.png", picture(2) + os.urandom(1 << 20))
        source = tmp_path / "big" if kind == "png" else write(tmp_path / f"big.{kind}", gzip.compress(rows.encode()) if kind.endswith("gz") else rows)
        with pytest.raises(OSError) as caught:
            try:
                bench.add(source)
            except DiskFull as error:
                raise OSError(28, "told already") from error
        assert isinstance(explain(caught.value), DiskFull)
        assert bench.workspace.datasets.all() == [old] and len(every(old)) == 40
        assert [path.name for path in bench.workspace.paths.datasets.iterdir()] == ["old"]
        assert not [path for path in (bench.workspace.paths.root / "jobs").rglob("*") if path.is_file()]
    finally:
        bench.workspace.close()


def test_a_job_on_a_full_disk_says_so(small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.engine import Engine

    monkeypatch.setenv("BITTERN_RUNNER", "thread")
    engine = Engine(small_disk / "home", everything=True)
    try:
        file = write(tmp_path / "big.csv", "text,n\n" + f"{os.urandom(500).hex()},1\n" * 20_000)
        job = engine.run(engine.parse(f"add {file}")).data["job"]
        finish(engine, job, seconds=60, state="failed")
        assert engine.job(job).error["error"] == "DiskFull" and not engine.datasets()
    finally:
        engine.close(5)


def test_the_test_split_takes_of_each_label_its_share(bench: Bench, tmp_path: Path) -> None:
    labels = ["often"] * 80 + ["sometimes"] * 15 + ["seldom"] * 5
    file = write(tmp_path / "s.csv", "text,label\n" + "".join(f"this is row {n},{label}\n" for n, label in enumerate(labels)))
    record = bench.add(file, test=0.2)
    taken = window(record, "test", 0, 100)
    assert Counter(row["label"] for row in taken) == {"often": 16, "sometimes": 3, "seldom": 1}
    assert "of each “label” its share" in record.note
    assert taken == window(bench.add(file, test=0.2), "test", 0, 100), "the same seed, the same rows"
    assert taken != window(bench.add(file, test=0.2, seed=1), "test", 0, 100)
    numbers = [int(row["text"].rsplit(" ", 1)[1]) for row in taken]
    assert numbers == sorted(numbers)


def test_a_new_version_leaves_the_old_rows_where_they_are(bench: Bench, tmp_path: Path) -> None:
    file = write(tmp_path / "k.csv", CSV)
    old = bench.add(file)
    write(file, CSV + "new,good\n")
    new = bench.add(file)
    assert len(every(new)) == 41 and len(every(old)) == 40, "both versions stand"
    (Path(new.folder).parent / "left-by-a-kill").mkdir()
    bench.add(file)
    assert {path.name for path in Path(new.folder).parent.iterdir()} == {old.fingerprint, new.fingerprint}


def test_a_job_goes_on_with_the_rows_it_began_with(bench: Bench, tmp_path: Path) -> None:
    from engine.data.lineage.pinned import dataset_of
    from engine.jobs.context import JobContext

    file = write(tmp_path / "k.csv", CSV)
    old = bench.add(file)
    waiting = bench.workspace.jobs.add("train", {"base": "m", "on": "k"}, "train m", "compute")
    bench.workspace.paths.job(waiting.id).mkdir(parents=True, exist_ok=True)

    def job(*, resumed: bool) -> JobContext:
        return JobContext(waiting.id, bench.workspace, bench.events.append, bench.token, resumed=resumed)

    assert dataset_of(job(resumed=False), "k") == old
    write(file, CSV + "new,good\n")
    new = bench.add(file)
    assert dataset_of(job(resumed=True), "k") == old and len(every(old)) == 40
    assert "goes on with the rows it began with" in bench.events[-1].text  # type: ignore[attr-defined]
    assert dataset_of(job(resumed=True), "k", kept=False) == new, "nothing was done yet: the rows may have been mended for it"
    assert "begins with the new rows" in bench.events[-1].text  # type: ignore[attr-defined]
    count = len(bench.events)
    assert dataset_of(job(resumed=True), "k", kept=False) == new and len(bench.events) == count, "said once"
    assert dataset_of(job(resumed=False), "k") == new, "an attempt that begins anew takes what there is"
