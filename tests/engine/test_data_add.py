"""Adding datasets: every format, every refusal, and nothing changed by a failure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.data.reading import add as adding
from engine.data.rows import load_split, window
from engine.errors import DataError, NotFound
from tests.fakes.adding import CSV, Bench, every, write
from tests.fakes.follow import finish

if TYPE_CHECKING:
    from engine.engine import Engine
    from engine.events import Event


def test_csv_gets_a_seeded_test_split_and_a_shape(bench: Bench, tmp_path: Path) -> None:
    file = write(tmp_path / "My Reviews.csv", CSV)
    record = bench.add(file)
    assert (record.name, record.splits, record.shape) == ("my-reviews", {"train": 36, "test": 4}, "classification")
    assert record.columns == {"text": "text", "label": "label"} and record.features == {"text": "string", "label": "string"}
    assert "4 of 40 rows were set aside (seed 42)" in record.note and record.bytes > 0
    assert {row["text"] for row in every(record)} == {f"row {n}, with a comma" for n in range(40)}
    assert window(record, "test", 0, 9) == window(bench.add(file), "test", 0, 9), "the same seed, the same rows"
    assert window(record, "test", 0, 9) != window(bench.add(file, seed=7), "test", 0, 9)
    assert bench.workspace.recall("dataset") == "my-reviews"


def test_the_same_content_has_the_same_fingerprint(bench: Bench, tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", CSV)
    first = bench.add(file)
    assert bench.add(file).fingerprint == first.fingerprint
    assert bench.add(file, seed=1).fingerprint != first.fingerprint
    assert bench.add(file, label="text", text="label").fingerprint != first.fingerprint
    write(file, CSV + "one more,good\n")
    again = bench.add(file)
    assert again.fingerprint != first.fingerprint and again.rows == 41
    folders = {Path(version.record.folder) for version in bench.workspace.versions.all("a")}
    assert set((bench.workspace.paths.datasets / "a").iterdir()) == folders and len(folders) == 4, "old versions stay, for undo"


def test_other_formats(bench: Bench, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [{"text": f"line {n}", "score": n} for n in range(5)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "p.parquet")
    sources = {
        "t.tsv": "text\tscore\n" + "".join(f"{r['text']}\t{r['score']}\n" for r in rows),
        "s.csv": "text;score\n" + "".join(f"{r['text']};{r['score']}\n" for r in rows),
        "j.json": json.dumps(rows, indent=2),
        "l.jsonl": "".join(json.dumps(r) + "\n" for r in rows),
    }
    for name, content in sources.items():
        write(tmp_path / name, content)
    for name in (*sources, "p.parquet"):
        record = bench.add(tmp_path / name, test=0)
        assert record.features == {"text": "string", "score": "int64"}, name
        assert window(record, "train", 0, 9) == rows, name


def test_text_is_read_by_paragraph_or_line(bench: Bench, tmp_path: Path) -> None:
    prose = write(tmp_path / "prose.txt", "One\ntwo.\n\nThree.\n")
    assert [row["text"] for row in every(bench.add(prose, test=0))] == ["One\ntwo.", "Three.\n"]
    assert len(every(bench.add(prose, test=0, by="line"))) == 4
    record = bench.add(write(tmp_path / "log.txt", "a\nb\n"), test=0)
    assert [row["text"] for row in every(record)] == ["a", "b"] and record.shape == "text"


def test_a_folder_gives_splits_by_name(bench: Bench, tmp_path: Path) -> None:
    for name, rows in {"train-1": 3, "train-2": 2, "dev": 1, "test": 2}.items():
        write(tmp_path / "set" / f"{name}.csv", "text,label\n" + "x,y\n" * rows)
    write(tmp_path / "set" / "README.md", "# About")
    record = bench.add(tmp_path / "set")
    assert record.name == "set" and record.splits == {"train": 5, "validation": 1, "test": 2} and "set aside" not in record.note
    assert bench.add(tmp_path / "set" / "train*.csv", name="only", test=0).splits == {"train": 5}


def test_words_that_look_like_nothing_stay(bench: Bench, tmp_path: Path) -> None:
    record = bench.add(write(tmp_path / "n.csv", "text,label\nNA,null\nNone,nan\n,x\n"), test=0)
    assert every(record) == [{"text": "NA", "label": "null"}, {"text": "None", "label": "nan"}, {"text": None, "label": "x"}]


def test_a_column_that_changes_its_type_late(bench: Bench, tmp_path: Path) -> None:
    late = "".join(f"{n},word {n}\n" for n in range(10_050)) + "n/a,last\n"
    record = bench.add(write(tmp_path / "late.csv", "id,text\n" + late), test=0)
    assert record.features == {"id": "string", "text": "string"}
    assert window(record, "train", 10_049, 5) == [{"id": "10049", "text": "word 10049"}, {"id": "n/a", "text": "last"}]


def test_names(bench: Bench, tmp_path: Path) -> None:
    assert bench.add(write(tmp_path / "birds" / "train.csv", CSV)).name == "birds"
    other = write(tmp_path / "more" / "birds.csv", CSV)
    for name in ("", "birds"):
        error = bench.fails(other, name=name)
        assert "“birds” is already a dataset, from" in error.message and "--name birds-2" in error.hint
    assert bench.add(other, name="Birds-2").name == "Birds-2"
    assert "can't be a dataset's name" in bench.fails(other, name="a/b").message
    assert bench.add(write(tmp_path / "Été 2026.csv", CSV)).name == "ete-2026"
    assert bench.add(write(tmp_path / "odd [1].csv", CSV)).rows == 40


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "x,y\n1,2\n3,4,5\n6,7\n", "a.csv, line 3, column 3: 3 fields where the header names 2"),
        ("b.csv", "x,y\n1,2\n3\n", "b.csv, line 3, column 2: “y” is missing"),
        ("c.csv", 'x,y\n1,2\n3,"open\n4,5\n', 'c.csv, line 3, column 2: a quote (") opens here'),
        ("d.csv", "x,y\né,2\n3,caf".encode() + b"\xe9\n", "d.csv, line 3, column 6: byte 0xe9 is not utf-8 text"),
        ("e.csv", "x,y\n", "holds no rows"),
        ("f.csv", "", "f.csv is empty"),
        ("g.jsonl", '{"a": 1}\n{"a": 2,}\n', "g.jsonl, line 2, column 9"),
        ("h.json", '[{"a": 1},\n {"a" 2}]', "h.json, line 2, column 7"),
        ("i.jsonl", '{"a": 1}\n7\n', "i.jsonl, line 2, column 1: there is no object here, but 7"),
        ("j.json", "[" * 100_000, "j.json"),
        ("n.jsonl", '{"a": 1}\n{"a": 2, "a": 3}\n', "n.jsonl, line 2: the key “a” stands twice"),
        ("o.jsonl", '{"a": 1}\n{"a": 1e999}\n', "o.jsonl, line 2: 1e999 is too large for a number"),
        ("p.jsonl", '{"a": 1}\n[1]\n', "p.jsonl, line 2, column 1: there is no object here"),
        ("k.parquet", b"PAR1 nonsense", "k.parquet is not a Parquet file"),
        ("l.txt", b"\xc3\xa9\nna\xefve\n", "l.txt, line 2, column 3"),
        ("m.xyz", "?", "does not know what is in a “.xyz”"),
    ],
)
def test_broken_files_say_where(bench: Bench, tmp_path: Path, name: str, content: str | bytes, said: str) -> None:
    error = bench.fails(write(tmp_path / name, content))
    assert isinstance(error, DataError) and said in error.message and error.hint


def test_missing_sources(bench: Bench, tmp_path: Path) -> None:
    write(tmp_path / "train.csv", CSV)
    error = bench.fails(tmp_path / "trian.csv")
    assert isinstance(error, NotFound) and error.hint == "Did you mean train.csv?"
    assert "the folder" in bench.fails(tmp_path / "nowhere" / "x.csv").message
    (tmp_path / "void").mkdir()
    assert "no file that can be read" in bench.fails(tmp_path / "void").message
    assert "does not answer" in bench.fails("somebody/something").message


def test_columns_can_be_named(bench: Bench, tmp_path: Path) -> None:
    file = write(tmp_path / "q.csv", "Frage,Antwort,Art\n" + "Wie geht es dir heute?,Danke gut.,x\n" * 4)
    record = bench.add(file, text="Frage", label="Art")
    assert (record.shape, record.columns) == ("classification", {"text": "Frage", "label": "Art"})
    record = bench.add(file, prompt="Frage", completion="Antwort")
    assert (record.shape, record.columns) == ("instruction", {"prompt": "Frage", "completion": "Antwort"})
    error = bench.fails(file, text="frage")
    assert "no column “frage”" in error.message and "Did you mean Frage?" in error.hint and "Antwort" in error.hint


def test_a_failure_or_a_kill_leaves_the_old_version(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "k.csv", CSV)
    old = bench.add(file)
    write(file, CSV + "new,good\n")

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    # Die at the last moments: everything is written, nothing is in force yet.
    for place, name in ((adding, "replace_folder"), (bench.workspace.versions, "put")):
        monkeypatch.setattr(place, name, dies)
        with pytest.raises(KeyboardInterrupt):
            bench.add(file)
        monkeypatch.undo()
        assert bench.workspace.datasets.get("k") == old and len(every(old)) == 40
    new = bench.add(file)
    assert new.rows == 41
    monkeypatch.setattr(adding, "replace_folder", dies)
    assert len(every(bench.add(file))) == 41, "the same rows again are not moved at all"
    monkeypatch.undo()
    next((bench.workspace.paths.datasets / "k").rglob("*.arrow")).unlink()
    assert len(every(bench.add(file))) == 41, "what was damaged is made anew"


def test_a_cancel_stops_the_import(bench: Bench, tmp_path: Path) -> None:
    from engine.errors import Stopped

    bench.token.ask("cancel")
    with pytest.raises(Stopped):
        bench.add(write(tmp_path / "c.csv", CSV))
    assert not bench.workspace.datasets.all()


def test_class_numbers_become_names(bench: Bench, tmp_path: Path) -> None:
    from datasets import ClassLabel, Dataset, Features, Value

    features = Features({"text": Value("string"), "label": ClassLabel(names=["no", "yes"])})
    Dataset.from_dict({"text": ["a", "b", "c"], "label": [1, 0, 1]}, features=features).to_parquet(str(tmp_path / "c.parquet"))
    record = bench.add(tmp_path / "c.parquet", test=0)
    assert [row["label"] for row in every(record)] == ["yes", "no", "yes"] and record.shape == "classification"
    assert load_split(record, "train")[0] == {"text": "a", "label": "yes"}


def test_a_parquet_bomb_is_refused(bench: Bench, data: Path) -> None:
    error = bench.fails(data / "bad-parquet" / "data" / "large_string_map.brotli.parquet")
    assert "unpack to 2,147,483,827" in error.message


def test_odd_parquet_and_csv_files(bench: Bench, data: Path) -> None:
    for name in ("int96_from_spark", "nested_structs.rust", "float16_nonzeros_and_nans", "binary"):
        record = bench.add(data / "bad-parquet" / "data" / f"{name}.parquet")
        json.dumps(every(record), allow_nan=False)
    record = bench.add(data / "bad-csv" / "csv-spectrum" / "csvs" / "quotes_and_newlines.csv", test=0)
    expected = json.loads((data / "bad-csv" / "csv-spectrum" / "json" / "quotes_and_newlines.json").read_text("utf-8"))
    assert [{key: str(value) for key, value in row.items()} for row in every(record)] == expected
    assert "CRC checksum" in bench.fails(data / "bad-parquet" / "data" / "datapage_v1-corrupt-checksum.parquet").message


@pytest.mark.parametrize(
    ("path", "shape", "rows"),
    [
        ("cls-banking77", "classification", {"train": 10003, "test": 3080}),
        ("sft-gsm8k/test.messages.jsonl", "conversation", {"train": 1187, "test": 132}),
        ("sft-selfinstruct/seed_tasks.alpaca.jsonl", "instruction", {"train": 157, "test": 18}),
        ("ir-xquad-en/corpus.jsonl", "text", {"train": 216, "test": 24}),
    ],
)
def test_real_sets(bench: Bench, data: Path, path: str, shape: str, rows: dict[str, int]) -> None:
    record = bench.add(data / path)
    assert (record.shape, record.splits) == (shape, rows)


def test_add_as_a_job(engine: Engine, tmp_path: Path) -> None:
    write(tmp_path / "tickets.csv", CSV)
    heard: list[Event] = []
    engine.subscribe(heard.append)
    queued = engine.run(engine.parse(f"add {tmp_path / 'tickets.csv'} --test 0.25"))
    finish(engine, queued.data["job"], seconds=60)
    assert engine.job(queued.data["job"]).summary == "tickets: 40 rows (train 30, test 10), classification: text → label"
    assert {type(event).__name__ for event in heard} >= {"JobProgress", "CatalogChanged", "JobFinished"}
    assert engine.current("dataset") == "tickets" and len(engine.window("tickets", "test", 8, 5)) == 2
