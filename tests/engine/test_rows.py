"""Windows of rows: right across batches and shards, plain for JSON, and light to import."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from engine.data import rows
from engine.errors import DataError, NotFound
from engine.store.datasets import DatasetRecord

if TYPE_CHECKING:
    from pathlib import Path


def saved(folder: Path, data: Any, **options: Any) -> DatasetRecord:
    """A record of ``data`` (a ``datasets.Dataset``) saved as the only split."""
    data.save_to_disk(str(folder / "train"), **options)
    return DatasetRecord("d", "", str(folder), "f", {"train": len(data)}, dict.fromkeys(data.column_names, "?"), "table", {}, 0)


def test_windows_across_batches_and_shards(tmp_path: Path) -> None:
    from datasets import Dataset

    record = saved(tmp_path, Dataset.from_dict({"n": list(range(5000))}), num_shards=3)
    assert len(rows.open_folder(tmp_path / "train").batches) > 3
    for start, count in ((0, 3), (999, 3), (1660, 20), (3333, 2), (4998, 10), (5000, 5), (0, 5000)):
        assert [row["n"] for row in rows.window(record, "train", start, count)] == list(range(start, min(5000, start + count)))
    assert rows.row(record, "train", 4999) == {"n": 4999}
    assert rows.load_split(record, "train")[1667] == rows.row(record, "train", 1667)
    for index in (-1, 5000):
        with pytest.raises(NotFound, match="Its rows are 0 to 4999"):
            rows.row(record, "train", index)
    with pytest.raises(NotFound, match="Did you mean train"):
        rows.window(record, "trian", 0, 1)


def test_a_new_version_in_the_same_folder_is_seen(tmp_path: Path) -> None:
    from datasets import Dataset

    record = saved(tmp_path, Dataset.from_dict({"n": [1, 2]}))
    assert rows.window(record, "train", 0, 9) == [{"n": 1}, {"n": 2}]
    Dataset.from_dict({"n": [3]}).save_to_disk(str(tmp_path / "other"))
    (tmp_path / "train").rename(tmp_path / "old")
    (tmp_path / "other").rename(tmp_path / "train")
    assert rows.window(record, "train", 0, 9) == [{"n": 3}]


def test_every_kind_of_value_is_plain(tmp_path: Path) -> None:
    import pyarrow as pa
    from datasets import Dataset, Value

    table = pa.table(
        {
            "when": pa.array([datetime(2026, 1, 2, 3, 4, tzinfo=UTC)], pa.timestamp("ns", "UTC")),
            "far": pa.array([2**62], pa.timestamp("us")),
            "price": [Decimal("1.50")],
            "raw": [b"\x00\x01"],
            "odd": [float("nan")],
            "deep": [{"list": [{"x": 1}], "none": None}],
        }
    )
    record = saved(tmp_path / "a", Dataset(table))
    row = rows.row(record, "train", 0)
    assert json.loads(json.dumps(row, allow_nan=False)) == row
    assert row["when"].startswith("2026-01-02T03:04") and row["price"] == "1.50" and row["raw"] == "‹2 bytes›" and row["odd"] == "nan"
    assert row["deep"] == {"list": [{"x": 1}], "none": None} and isinstance(row["far"], str)
    picture = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    pictures = Dataset(pa.table({"image": pa.array([{"bytes": b"not a picture", "path": "a/cat.png"}, None], picture)}))
    assert rows.window(saved(tmp_path / "b", pictures), "train", 0, 2) == [{"image": "‹cat.png, 13 bytes›"}, {"image": None}]
    broken = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\3\0\0\0"), pa.py_buffer(b"a\xff!")])
    text = Dataset(pa.table({"text": broken}), info=None)
    assert text.features == {"text": Value("string")}
    assert rows.row(saved(tmp_path / "c", text), "train", 0) == {"text": "a\ufffd!"}


def test_json_columns_are_unpacked(tmp_path: Path) -> None:
    from datasets import Dataset

    data = Dataset.from_dict({"a": [[{"b": 0}, {"c": "x"}]]}, on_mixed_types="use_json")
    assert rows.row(saved(tmp_path, data), "train", 0) == {"a": [{"b": 0}, {"c": "x"}]}


def test_damaged_files_say_so(tmp_path: Path) -> None:
    from datasets import Dataset

    record = saved(tmp_path, Dataset.from_dict({"n": [1]}))
    next((tmp_path / "train").glob("*.arrow")).write_bytes(b"?")
    with pytest.raises(DataError, match="Add the dataset again"):
        rows.window(record, "train", 0, 1)


@pytest.mark.parametrize("text", ["a", "a/train", "a/train/x", "a/train/-1", "a//1", "a/b/c/1", ""])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(NotFound, match="is not a row's address"):
        rows.parse_address(text)


def test_addresses() -> None:
    assert rows.parse_address("a/train/17") == rows.parse_address("dataset:a/train/17") == ("a", "train", 17)


def test_reading_rows_imports_nothing_heavy(tmp_path: Path) -> None:
    from datasets import Dataset

    record = saved(tmp_path, Dataset.from_dict({"n": [1, 2]}))
    code = (
        "import sys; from engine.data import rows, shape; from engine.data.reading import sources; import engine.commands.data.datasets; from pathlib import Path;"
        f"print(rows.open_folder(Path({record.folder!r}) / 'train').window(0, 2));"
        "print([m for m in ('datasets', 'torch', 'pandas', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[{'n': 1}, {'n': 2}]", "[]"]


def test_a_stream_is_read_by_its_headers_alone(tmp_path: Path) -> None:
    import pyarrow as pa

    from engine.data.reading.stream import Every, Stream

    wide = pa.table({f"column {n}": range(n, n + 2500) for n in range(120)})
    for name, options in {"plain": None, "packed": pa.ipc.IpcWriteOptions(compression="zstd")}.items():
        file = tmp_path / f"{name}.arrow"
        with pa.ipc.new_stream(str(file), wide.schema, options=options) as writer:
            writer.write_table(wide.slice(0, 0))
            writer.write_table(wide, max_chunksize=1000)
        stream = Stream(file)
        assert stream.rows == [1000, 1000, 500] and stream.schema == wide.schema
        every = Every([stream, stream])
        assert len(every) == 6 and pa.Table.from_batches(every[:3]) == wide == pa.Table.from_batches(list(every)[3:])
        whole = file.read_bytes()
        for cut in (0, 5, 500, len(whole) // 2, len(whole) - 9):
            file.write_bytes(whole[:cut])
            with pytest.raises((ValueError, OSError)):
                Stream(file)
        file.write_bytes(b"\xff\xff\xff\xff\x40\x00\x00\x00" + b"\xfe" * 200)
        with pytest.raises(ValueError, match=r"no Arrow stream|in the middle"):
            Stream(file)
    with pa.ipc.new_stream(str(tmp_path / "words.arrow"), (words := pa.table({"w": pa.array(["a", "b"]).dictionary_encode()})).schema) as writer:
        writer.write_table(words)
    with pytest.raises(ValueError, match="holds dictionaries"):
        Stream(tmp_path / "words.arrow")
