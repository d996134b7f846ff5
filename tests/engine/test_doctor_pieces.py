"""What is whole in broken Arrow files, workbooks and archives; columns that are nearly dates, times, or true and false."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.engine.test_doctor import left_out, repaired
from tests.engine.test_sources import workbook
from tests.fakes.adding import CSV, Bench, every, write

if TYPE_CHECKING:
    from pathlib import Path


def arrow(kind: str, batches: int = 5) -> bytes:
    import pyarrow as pa

    table = pa.table({"n": list(range(1000 * batches)), "text": [f"line {n}" for n in range(1000 * batches)]})
    out = io.BytesIO()
    with (pa.ipc.new_stream if kind == "stream" else pa.ipc.new_file)(out, table.schema) as writer:
        for batch in table.to_batches(1000):
            writer.write_batch(batch)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["stream", "file"])
def test_an_arrow_file_that_is_cut(bench: Bench, tmp_path: Path, kind: str) -> None:
    whole = arrow(kind)
    file = write(tmp_path / "c.arrow", whole[: len(whole) * 7 // 10])
    error = bench.fails(file)
    assert "3,000 rows before it are good" in error.message and error.repairs[0].label == "keep the 3,000 rows before the break"
    record = repaired(bench, error)
    assert [row["n"] for row in every(record)] == list(range(3000))
    assert "what follows batch 3 (3,000 rows) can't be read" in left_out(record)[0]["reason"] and "1 piece that can't be read" in record.note
    nothing = bench.fails(write(tmp_path / "d.arrow", whole[:600]))
    assert not nothing.repairs and bench.fails(tmp_path / "d.arrow", bad="skip").message == nothing.message


def test_an_arrow_stream_with_no_mark_at_its_end(bench: Bench, tmp_path: Path) -> None:
    record = bench.add(write(tmp_path / "e.arrow", arrow("stream")[:-8]), test=0)
    assert record.rows == 5000 and "no mark at its end" in record.note
    assert "no mark" not in bench.add(write(tmp_path / "f.arrow", arrow("stream")), test=0).note
    assert "no mark" not in bench.add(write(tmp_path / "g.arrow", arrow("file")), test=0).note


def test_a_broken_sheet_among_good_ones(bench: Bench, tmp_path: Path) -> None:
    good = workbook(tmp_path / "good.xlsx", {"Bad one": [["a", "b"], ["x", 1]], "Fine": [["text", "n"], ["y", 2]], "More": [["c"], ["z"]]})
    file = tmp_path / "w.xlsx"
    with zipfile.ZipFile(good) as old, zipfile.ZipFile(file, "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            new.writestr(entry, content[: len(content) // 2] + b"<<" if entry.filename.endswith("s1.xml") else content)
    error = bench.fails(file)
    assert "the sheet “Bad one” can't be read" in error.message and "2 others are good: Fine, More" in error.message
    assert [repair.label for repair in error.repairs] == ["leave out the sheet “Bad one” and list it", "add the sheet “Fine”", "add the sheet “More”"]
    record = repaired(bench, error)
    assert every(record) == [{"text": "y", "n": 2}] and "“Bad one”" in left_out(record)[0]["reason"] and "Read from the sheet “Fine”" in record.note
    assert every(bench.add(file, test=0, table="More", name="more")) == [{"c": "z"}]
    assert len(bench.fails(file, table="Bad one", name="other").repairs) == 3


def test_broken_files_of_an_archive(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        lines = "".join(f"long line number {n * 7919},x\n" for n in range(100_000))
        archive.writestr("a.csv", "text,label\n" + lines, zipfile.ZIP_BZIP2)
        archive.writestr("b.csv", CSV)
        archive.writestr("c.csv", CSV)
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
    first, last = entries["a.csv"], entries["c.csv"]
    # a.csv breaks on the way; of c.csv a byte of the checksum in the directory is another.
    middle = first.header_offset + first.compress_size * 3 // 4
    data[middle : middle + 400] = b"\xff" * 400
    at = data.rindex(last.CRC.to_bytes(4, "little"))
    data[at] ^= 0xFF
    write(path, bytes(data))
    error = bench.fails(path)
    assert "2 of its files can't be unpacked: “a.csv”" in error.message and "“c.csv”" in error.message
    record = repaired(bench, error)
    reasons = [item["reason"] for item in left_out(record)]
    assert any("“a.csv”" in reason and "bytes were kept" in reason for reason in reasons)
    assert any("“c.csv”" in reason and "nothing of it was kept" in reason for reason in reasons)
    kept = every(record)
    assert (
        sum(str(row["text"]).startswith("row ") for row in kept) == 40 and kept[0]["text"] == "long line number 0" and 10_000 < record.rows < 100_000
    )


def test_an_archive_of_which_nothing_is_left(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "one.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a.csv", CSV)
    write(path, path.read_bytes().replace(b"row 7", b"row 8"))
    assert bench.fails(path).repairs
    assert not bench.fails(path, bad="skip").repairs, "one file, and its checksum does not fit: no row of it can be trusted"


def test_nearly_dates_times_and_truths(bench: Bench, tmp_path: Path) -> None:
    rows = "".join(
        f"2026-01-{n + 1:02},2026-01-02T0{n % 9}:30:00+02:00,{'true' if n % 2 else 'False'},2026-05-{n + 1:02},word {n}\n" for n in range(28)
    )
    file = write(tmp_path / "d.csv", f"day,at,open,clean,text\n{rows}2026-02-30,soon,maybe,2026-06-01,last\n")
    plain = bench.add(file, test=0)
    assert plain.features["day"] == "string" and "“day” stays text: 1 of 29 values is no date (“2026-02-30”)" in plain.note
    assert "is neither true nor false (“maybe”)" in plain.note and "clean" not in plain.note
    record = bench.add(file, test=0, bad="cast")
    kinds = {name: record.features[name] for name in ("day", "at", "open", "clean", "text")}
    assert kinds == {"day": "date32", "at": "timestamp[us, tz=UTC]", "open": "bool", "clean": "date32", "text": "string"}
    found = every(record)
    assert found[0] == {"day": "2026-01-01", "at": "2026-01-01T22:30:00+00:00", "open": False, "clean": "2026-05-01", "text": "word 0"}
    assert found[-1] == {"day": None, "at": None, "open": None, "clean": "2026-06-01", "text": "last"}
    told = [(item["row"], item["column"], item["reason"], item["text"]) for item in left_out(record)]
    assert sorted(told) == [
        (28, "at", "not a time", "soon"),
        (28, "day", "not a date", "2026-02-30"),
        (28, "open", "neither true nor false", "maybe"),
    ]
    assert "3 values were emptied" in record.note and "“day” was read as dates" in record.note
