"""Every kind of source: how it is written is found out, told, and can be said."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import sqlite3
import zipfile
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from engine.data.rows import open_folder, split_folder
from tests.fakes.adding import CSV, Bench, every, write

if TYPE_CHECKING:
    from pathlib import Path

ROWS = [{"text": f"line {n}", "score": n} for n in range(5)]
PLAIN = "text,score\n" + "".join(f"{row['text']},{row['score']}\n" for row in ROWS)


def table() -> Any:
    import pyarrow as pa

    return pa.Table.from_pylist(ROWS)


def test_packed_files(bench: Bench, tmp_path: Path) -> None:
    import pyarrow as pa

    packers = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": lambda data: pa.compress(data, "zstd", asbytes=True)}
    for ending, pack in packers.items():
        record = bench.add(write(tmp_path / f"{ending}rows.csv.{ending}", pack(PLAIN.encode())), test=0)
        assert record.name == f"{ending}rows" and every(record) == ROWS, ending
    lines = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
    assert every(bench.add(write(tmp_path / "l.jsonl.gz", gzip.compress(lines)), test=0)) == ROWS


def test_an_archive_is_a_folder(bench: Bench, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("in/train.csv", PLAIN)
        archive.writestr("in/test.csv", PLAIN)
        archive.writestr("in/README.md", "# About")
        archive.writestr("../../../evil/train.csv", PLAIN)
    record = bench.add(tmp_path / "set.zip")
    assert record.splits == {"train": 10, "test": 5} and record.source == str(tmp_path / "set.zip")
    assert not list(tmp_path.parent.rglob("evil")), "no name leads out of the folder"
    with zipfile.ZipFile(tmp_path / "none.zip", "w") as archive:
        archive.writestr("picture.xyz", "?")
    assert "no file that can be read" in bench.fails(tmp_path / "none.zip").message
    assert "can't be unpacked" in bench.fails(write(tmp_path / "no.zip", b"PK nonsense")).message


def test_arrow_files_streams_and_feather(bench: Bench, tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import feather

    for name, new in (("file.arrow", pa.ipc.new_file), ("stream.arrow", pa.ipc.new_stream)):
        with pa.OSFile(str(tmp_path / name), "wb") as out, new(out, table().schema) as writer:
            writer.write_table(table())
    feather.write_feather(table(), tmp_path / "two.feather")
    for name in ("file.arrow", "stream.arrow", "two.feather"):
        assert every(bench.add(tmp_path / name, test=0)) == ROWS, name
    cut = (tmp_path / "stream.arrow").read_bytes()[:300]
    assert "not an Arrow file that can be read" in bench.fails(write(tmp_path / "cut.arrow", cut)).message


def workbook(path: Path, sheets: dict[str, list[list[Any]]]) -> Path:
    """The smallest workbook that is one: inline texts and numbers."""
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    links = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"

    def cell(value: Any) -> str:
        return f"<c><v>{value}</v></c>" if isinstance(value, (int, float)) else f'<c t="inlineStr"><is><t>{value}</t></is></c>'

    names = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>' for n, name in enumerate(sheets, 1))
    related = "".join(f'<Relationship Id="r{n}" Type="{links}/worksheet" Target="worksheets/s{n}.xml"/>' for n in range(1, len(sheets) + 1))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", f'<Types xmlns="{package}/content-types"/>')
        archive.writestr("_rels/.rels", f'<Relationships xmlns="{package}/relationships"><Relationship Id="r" Type="{links}/officeDocument" Target="xl/workbook.xml"/></Relationships>')  # fmt: skip
        archive.writestr("xl/workbook.xml", f'<workbook {main} xmlns:r="{links}"><sheets>{names}</sheets></workbook>')
        archive.writestr("xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{package}/relationships">{related}</Relationships>')
        for number, rows in enumerate(sheets.values(), 1):
            body = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
            archive.writestr(f"xl/worksheets/s{number}.xml", f"<worksheet {main}><sheetData>{body}</sheetData></worksheet>")
    return path


def test_workbooks(bench: Bench, tmp_path: Path) -> None:
    path = workbook(tmp_path / "w.xlsx", {"First": [["text", "score", "odd"], ["line 0", 0, 1.5], ["line 1", 1, "x"]], "Second": [["a"], ["b"]]})
    record = bench.add(path, test=0)
    assert record.features == {"text": "string", "score": "int64", "odd": "string"}
    assert every(record) == [{"text": "line 0", "score": 0, "odd": "1.5"}, {"text": "line 1", "score": 1, "odd": "x"}]
    assert "sheet “First” (others: Second" in record.note
    assert every(bench.add(path, test=0, table="Second", name="second")) == [{"a": "b"}]
    assert "Did you mean Second?" in bench.fails(path, table="Secnd", name="third").hint
    assert "can't be read" in bench.fails(write(tmp_path / "no.xlsx", b"PK nonsense")).message


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER, total REAL, note TEXT)")
        connection.execute("CREATE TABLE people (name TEXT, age)")
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?)", [(n, n if n else None, f"order {n}") for n in range(4)])
        connection.executemany("INSERT INTO people VALUES (?, ?)", [("Ada", 36), ("Bo", "unknown")])
        connection.commit()
    return path


def test_databases(bench: Bench, shop: Path) -> None:
    error = bench.fails(shop)
    assert "holds 2 tables: orders, people" in error.message
    assert [repair.line for repair in error.repairs] == [f"add {shop} --table orders", f"add {shop} --table people"]
    record = bench.add(f"sqlite:///{shop}", table="orders", test=0)
    assert record.name == "shop-orders" and record.features == {"id": "int64", "total": "float64", "note": "string"}
    assert every(record)[:2] == [{"id": 0, "total": None, "note": "order 0"}, {"id": 1, "total": 1.0, "note": "order 1"}]
    record = bench.add(shop, query="SELECT name, age FROM people WHERE age IS NOT NULL;", name="people", test=0)
    assert every(record) == [{"name": "Ada", "age": "36"}, {"name": "Bo", "age": "unknown"}]
    assert len(every(bench.add(shop, query="SELECT * FROM orders", name="few", rows=2, test=0))) == 2


def test_a_query_only_reads(bench: Bench, shop: Path, tmp_path: Path) -> None:
    before = shop.read_bytes()
    other = tmp_path / "other.db"
    for query in (
        "DROP TABLE people",
        f"ATTACH '{other}' AS o",
        "SELECT 1); DELETE FROM people; --",
        "PRAGMA writable_schema=1",
        "SELECT nothing FROM people",
    ):
        assert bench.fails(shop, query=query).message.startswith("shop.db: ")
    assert shop.read_bytes() == before and not other.exists()


@pytest.mark.parametrize(
    ("data", "said", "values"),
    [
        ("name;ort\nJosé;Köln\nÅsa;Malmö\n“Zitat”;Genève – été\n".encode("cp1252"), "semicolons, cp1252", ["José", "Åsa", "“Zitat”"]),
        ("name,ort\nJosé,Köln\n".encode("utf-16"), "commas, utf-16", ["José"]),
        ("name,ort\nJosé,Koln Mitte und noch viel mehr Text\n".encode("utf-16-le"), "commas, utf-16-le", ["José"]),
        ("name\tort\nJosé\tKöln\n".encode("utf-8-sig"), "tabs, utf-8-sig", ["José"]),
        ("name|ort\nJosé|Köln\n".encode(), "bars, utf-8", ["José"]),
    ],
)
def test_encodings_and_delimiters_are_found(bench: Bench, tmp_path: Path, data: bytes, said: str, values: list[str]) -> None:
    record = bench.add(write(tmp_path / "e.csv", data), test=0)
    assert said in record.note and list(record.features) == ["name", "ort"] and [row["name"] for row in every(record)] == values


@pytest.mark.parametrize(
    ("encoding", "text"), [("cp1251", "Привет, как дела сегодня"), ("cp1250", "zażółć gęślą jaźń, książka"), ("shift_jis", "これは日本語の文章です")]
)
def test_what_has_no_evidence_is_asked(bench: Bench, tmp_path: Path, encoding: str, text: str) -> None:
    file = write(tmp_path / "o.csv", f"x\n{text}\n".replace(", ", " ").encode(encoding) * 3)
    error = bench.fails(file)
    assert "byte 0x" in error.message and "is not utf-8 text" in error.message
    lines = [repair.line for repair in error.repairs]
    assert any(line.endswith(f"--encoding {name}") for line in lines for name in (encoding, encoding.replace("shift_jis", "cp932"))), lines
    assert every(bench.add(file, encoding=encoding, test=0))[0]["x"] == text.replace(", ", " ")


@pytest.mark.parametrize(
    ("content", "header"),
    [
        ("text,label\n" + "good,pos\n" * 3, True),
        ("id,n\n1,2\n3,4\n", True),
        ("a,b\n", True),
        ("1,2\n3,4\n5,6\n", False),
        ("".join(f"film {n},{'pos' if n % 2 else 'neg'}\n" for n in range(20)), False),
        ("2021,2022\nx,y\n", True),
    ],
)
def test_whether_the_first_line_names_the_columns(tmp_path: Path, bench: Bench, content: str, header: bool) -> None:
    from engine.data.reading.csvfile import layout_of
    from engine.jobs.context import JobContext

    job = JobContext("1", bench.workspace, bench.events.append, bench.token, resumed=False)
    assert layout_of(job, write(tmp_path / "h.csv", content)).header is header


def test_the_header_can_be_said(bench: Bench, tmp_path: Path) -> None:
    file = write(tmp_path / "h.csv", "1,2\n3,4\n")
    record = bench.add(file, test=0)
    assert "no names in its first line" in record.note and "--header yes" in record.note
    assert every(record) == [{"column_1": 1, "column_2": 2}, {"column_1": 3, "column_2": 4}]
    assert every(bench.add(file, test=0, header="yes")) == [{"1": 3, "2": 4}]
    named = write(tmp_path / "n.csv", "a,a,\n1,2,3\n")
    assert every(bench.add(named, test=0)) == [{"a": 1, "a_2": 2, "column_3": 3}], "no name twice, none empty"


def test_codes_keep_their_zeros(bench: Bench, tmp_path: Path) -> None:
    record = bench.add(write(tmp_path / "z.csv", "zip,n,long,t\n08123,0,12345678901234567890,0.5\n,10,1,00.5\n99999,7,2,1\n"), test=0)
    assert record.features == {"zip": "string", "n": "int64", "long": "string", "t": "float64"}
    assert [row["zip"] for row in every(record)] == ["08123", None, "99999"] and every(record)[0]["long"] == "12345678901234567890"
    assert "“zip”, “long” stay text" in record.note and "--bad cast" not in record.note


def test_whole_numbers_stay_whole_where_some_are_missing(bench: Bench, tmp_path: Path) -> None:
    record = bench.add(write(tmp_path / "w.csv", "a,b,c\n1,,1.0\n,-2,\n3,4,2.0\n"), test=0)
    assert record.features == {"a": "int64", "b": "int64", "c": "float64"}
    assert every(record) == [{"a": 1, "b": None, "c": 1.0}, {"a": None, "b": -2, "c": None}, {"a": 3, "b": 4, "c": 2.0}]


def test_json_that_holds_rows_inside(bench: Bench, tmp_path: Path) -> None:
    rows = [{"q": f"why {n}", "n": n} for n in range(3)]
    record = bench.add(write(tmp_path / "one.json", json.dumps({"version": "1", "data": rows})), test=0)
    assert every(record) == rows and "The rows are those of “data”" in record.note
    two = write(tmp_path / "two.json", json.dumps({"a": rows, "b": {"c": rows[:1]}}, indent=1))
    error = bench.fails(two)
    assert "2 lists of objects: a, b.c" in error.message and error.repairs[1].line == f"add {two} --field b.c"
    assert every(bench.add(two, field="b.c", test=0)) == rows[:1]
    assert "no rows at “x”" in bench.fails(two, field="x").message


def test_the_first_rows_only(bench: Bench, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(table(), tmp_path / "p.parquet")
    write(tmp_path / "c.csv", PLAIN)
    write(tmp_path / "j.jsonl", "".join(json.dumps(row) + "\n" for row in ROWS) + "broken\n")
    with pa.OSFile(str(tmp_path / "a.arrow"), "wb") as out, pa.ipc.new_stream(out, table().schema) as writer:
        writer.write_table(table())
    for name in ("p.parquet", "c.csv", "j.jsonl", "a.arrow"):
        record = bench.add(tmp_path / name, rows=3, test=0)
        assert every(record) == ROWS[:3] and "Only the first 3 rows were taken" in record.note, name
    prose = write(tmp_path / "t.txt", "One\ntwo.\n\nThree.\n\nFour.\n")
    assert [row["text"].strip() for row in every(bench.add(prose, rows=2, test=0))] == ["One\ntwo.", "Three."]
    assert [row["text"] for row in every(bench.add(prose, rows=2, test=0, by="line"))] == ["One", "two."]


def test_files_with_different_columns(bench: Bench, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    write(tmp_path / "c" / "one.csv", "text,label\nhello there,a\n")
    write(tmp_path / "c" / "two.csv", "score;text\n5;hello again\n")
    write(tmp_path / "j" / "one.jsonl", '{"text": "hello there", "label": "a"}\n')
    write(tmp_path / "j" / "two.jsonl", '{"score": 5, "text": "hello again"}\n')
    (tmp_path / "p").mkdir()
    pq.write_table(pa.table({"text": ["hello there"], "label": ["a"]}), tmp_path / "p" / "one.parquet")
    pq.write_table(pa.table({"score": [5], "text": ["hello again"]}), tmp_path / "p" / "two.parquet")
    expected = [{"text": "hello there", "label": "a", "score": None}, {"text": "hello again", "label": None, "score": 5}]
    for kind in "cjp":
        error = bench.fails(tmp_path / kind)
        assert "lacks “label” and has “score” besides" in error.message, kind
        assert [repair.line for repair in error.repairs] == [f"add {tmp_path / kind} --union"]
        assert every(bench.add(tmp_path / kind, union=True, test=0)) == expected, kind
    write(tmp_path / "c" / "two.csv", "label;text\nb;hello again\n")
    assert [row["label"] for row in every(bench.add(tmp_path / "c", test=0))] == ["a", "b"], "another order is no difference"


def test_files_with_different_types(bench: Bench, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"x": [1]}), tmp_path / "one.parquet")
    pq.write_table(pa.table({"x": ["two"]}), tmp_path / "two.parquet")
    error = bench.fails(tmp_path)
    assert "“x” is int64 in one.parquet but string in two.parquet" in error.message
    assert every(bench.add(tmp_path, union=True, test=0)) == [{"x": "1"}, {"x": "two"}]


def picture(width: int) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (width, 4), "red").save(out, "PNG")
    return out.getvalue()


def sound(path: Path, rate: int = 8000) -> Path:
    import soundfile

    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, [0.0, 0.1] * rate, rate)
    return path


def test_picture_folders(bench: Bench, tmp_path: Path) -> None:
    for number, label in enumerate(("cat", "dog", "cat", "dog")):
        write(tmp_path / "pets" / label / f"{number}.png", picture(number + 1))
    record = bench.add(tmp_path / "pets", test=0)
    assert (record.shape, record.columns) == ("image", {"image": "image", "label": "label"})
    assert record.features == {"image": "image", "label": "string", "width": "int64", "height": "int64"}
    stored = open_folder(split_folder(record, "train")).table().to_pylist()
    assert stored[0]["image"] == {"bytes": picture(1), "path": "0.png"} and [row["width"] for row in stored] == [1, 3, 2, 4]
    write(tmp_path / "pets" / "cat" / "9.png", b"no picture")
    error = bench.fails(tmp_path / "pets")
    assert "cat/9.png: this is no picture that can be read" in error.message and "4 rows are good, 1 not" in error.message
    assert bench.add(tmp_path / "pets", bad="skip", test=0).rows == 4


def test_sound_folders_need_no_ffmpeg(bench: Bench, tmp_path: Path) -> None:
    from engine.data.rows import load_split

    for split in ("train", "test"):
        sound(tmp_path / "s" / split / "a.wav")
        sound(tmp_path / "s" / split / "b.flac", 16_000)
        write(tmp_path / "s" / split / "metadata.csv", "file_name,word\na.wav,one\nb.flac,two\n")
    record = bench.add(tmp_path / "s")
    assert record.splits == {"train": 2, "test": 2} and record.shape == "audio"
    rows = load_split(record, "train")
    assert rows[0]["audio"]["bytes"][:4] == b"RIFF" and rows[0]["word"] == "one"
    assert [(row["seconds"], row["rate"], row["channels"]) for row in every(record)[:2]] == [(2.0, 8000, 1), (2.0, 16_000, 1)]
    write(tmp_path / "s" / "test" / "metadata.csv", "file_name,word\na.wav,one\nc.wav,three\n")
    assert "there is no file “c.wav”" in bench.fails(tmp_path / "s").message
    skipped = bench.add(tmp_path / "s", bad="skip")
    assert skipped.rows == 4 and "1 bad row was left out" in skipped.note and "1 audio files are in no metadata file" in skipped.note


def test_real_media(bench: Bench, data: Path) -> None:
    record = bench.add(data / "img-signdigits")
    assert record.splits == {"train": 400, "test": 100} and record.columns == {"image": "image", "label": "label"}
    record = bench.add(data / "aud-fsdd")
    assert record.splits == {"train": 360, "test": 120} and record.shape == "audio"
    assert {row["rate"] for row in every(record)} == {8000}


def test_sources_that_make_no_sense(bench: Bench, tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", CSV)
    assert "for datasets of the Hub" in bench.fails(file, subset="x").message
    assert "--table is for databases" in bench.fails(file, table="x").message
    assert "There is no file" in bench.fails(f"sqlite:///{tmp_path / 'none.db'}").message
    assert "can't both be read" in bench.fails(write(tmp_path / "x.db", b""), table="a", query="b").message
    assert bench.fails(file, encoding="klingon").message == "There is no encoding “klingon”."
    assert not bench.fails(write(tmp_path / "junk.csv", b"\x00\x01\x02\x00\xff\xfe")).repairs, "what is no text in any encoding"
