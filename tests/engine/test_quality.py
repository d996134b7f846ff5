"""Checks and maps: duplicates, leaks, labels, personal data, and what their commands answer."""

from __future__ import annotations

import csv
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engine.data.sql import Sql
from engine.errors import DataError, NotFound, Stopped, WordsError
from engine.jobs.context import CancelToken, JobContext
from engine.quality import kept, labels, meaning
from engine.quality.check import check
from engine.quality.near import jaccard, shingle_set, shingles
from engine.quality.pairs import Pairs
from engine.quality.personal import hints, luhn
from engine.quality.report import joined, rows_by_split
from tests.fakes.follow import finish

if TYPE_CHECKING:
    from pathlib import Path

    from engine.engine import Engine
    from engine.results import Result

THEMES = {
    "card": "my new bank card number {n} did not arrive in the post today",
    "rate": "the exchange rate for {n} dollars looks much too low this week",
    "phone": "please change the telephone in account {n} to a different one",
}


def say(engine: Engine, line: str) -> Result:
    return engine.run(engine.parse(line))


def done(engine: Engine, line: str) -> dict[str, Any]:
    """The data that a job answered."""
    return engine.result(finish(engine, say(engine, line).data["job"]).id).data


def table(folder: Path, name: str, rows: list[tuple[str, str]]) -> Path:
    file = folder / f"{name}.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows([("text", "label"), *rows])
    return file


def words(count: int, start: int = 0) -> list[tuple[str, str]]:
    """Rows that have nothing in common with each other: each letter of each word is drawn anew."""
    draw = np.random.default_rng(start)
    letters = list("abcdefghijklmnopqrstuvwxyz")
    return [(" ".join("".join(draw.choice(letters, 6)) for _ in range(8)), "x") for _ in range(count)]


@pytest.fixture
def leaky(engine: Engine, tmp_path: Path) -> Engine:
    """``mess``: in train a row twice, a typo of it, and one text with two labels; in test two rows of train, one as a typo."""
    plain = words(20)
    train = [*plain, (plain[0][0].upper() + " ", "x"), (plain[1][0][:-1], "x"), (plain[2][0], "y")]
    test = [*words(5, start=9), (plain[5][0], "x"), (plain[6][0].replace("a", "q", 1).replace("e", "v", 1) + "s", "x")]
    table(tmp_path / "mess", "train", train)
    table(tmp_path / "mess", "test", test)
    finish(engine, say(engine, f"add {tmp_path / 'mess'} --label label --text text").data["job"])
    return engine


def left(engine: Engine, name: str, where: str) -> set[str]:
    """The rows that the filter leaves."""
    with Sql([engine.workspace.datasets.get(name)]) as sql:
        found = sql.table(f'SELECT _split, _row FROM "{name}" WHERE NOT ({where})').to_pylist()
    return {f"{row['_split']}/{row['_row']}" for row in found}


def test_a_check_finds_what_was_put_there_and_its_filters_take_it_out(leaky: Engine) -> None:
    data = done(leaky, "check mess")
    found = {finding["finding"]: finding for finding in data["findings"]}
    assert set(found) == {"leaks.exact", "leaks.words", "labels.conflicts", "duplicates.exact", "near.words"}
    everything = {f"train/{row}" for row in range(23)} | {f"test/{row}" for row in range(7)}
    gone = {key: everything - left(leaky, "mess", finding["where"]) for key, finding in found.items()}
    assert gone == {
        "duplicates.exact": {"train/20"},
        "near.words": {"train/21"},
        "labels.conflicts": {"train/2", "train/22"},
        "leaks.exact": {"train/5"},
        "leaks.words": {"train/6"},
    }
    assert found["leaks.exact"]["filter"] == "filter mess \"NOT (_split = 'train' AND _row = 5)\""
    assert [row["goes"] for row in found["near.words"]["examples"][0]["rows"]] == [False, True]
    assert any("index mess" in reason for reason in data["skipped"])


def test_the_same_check_again_is_there_at_once(leaky: Engine) -> None:
    done(leaky, "check mess --only leaks")
    again = say(leaky, "check mess --only leaks")
    assert "job" not in again.data and again.opens == "check:mess" and len(again.data["findings"]) == 2
    assert "job" in say(leaky, "check mess --only leaks,near").data, "another question is another check"


def test_findings_are_read_back_and_one_is_shown_by_its_rows(leaky: Engine) -> None:
    with pytest.raises(NotFound) as caught:
        say(leaky, "findings mess")
    assert caught.value.hint == "Do it now: check mess"
    done(leaky, "check mess")
    assert say(leaky, "findings mess").opens == "check:mess"
    answer = say(leaky, "findings mess --kind leaks.exact")
    assert answer.table is not None
    assert [row[1] for row in answer.table.rows] == ["mess/test/5", "mess/train/5"] and answer.table.rows[1][4] == "goes"
    with pytest.raises(NotFound, match=r"leaks\.exat") as caught:
        say(leaky, "findings mess --kind leaks.exat")
    assert "leaks.exact" in caught.value.hint


def test_changed_data_makes_the_findings_stale(leaky: Engine, tmp_path: Path) -> None:
    done(leaky, "check mess --only leaks")
    table(tmp_path / "mess", "test", words(9, start=5))
    finish(leaky, say(leaky, f"add {tmp_path / 'mess'} --label label --text text").data["job"])
    answer = say(leaky, "findings mess")
    assert "The data changed" in answer.summary and not answer.body, "lines that would mean other rows are not offered"
    assert done(leaky, "check mess --only leaks")["findings"] == []


def test_against_another_dataset_the_other_stays(leaky: Engine, tmp_path: Path) -> None:
    plain = words(20)
    finish(leaky, say(leaky, f"add {table(tmp_path, 'bench', [*words(6, start=3), plain[7]])} --test 0 --text text --label label").data["job"])
    found = {finding["finding"]: finding for finding in done(leaky, "check mess --against bench --only leaks")["findings"]}
    rows = [row["address"] for group in found["leaks.exact"]["examples"] for row in group["rows"]]
    assert rows[:2] == ["mess/test/5", "mess/train/5"] or rows[2:] == ["bench/train/6", "mess/train/7"]
    assert "train/7" not in left(leaky, "mess", found["leaks.exact"]["where"])
    with pytest.raises(DataError, match="against itself"):
        say(leaky, "check mess --against mess")
    with pytest.raises(NotFound, match="“benhc”"):
        say(leaky, "check mess --against benhc")
    with pytest.raises(WordsError, match="duplicates"):
        say(leaky, "check mess --only leak")


def test_forgetting_a_dataset_forgets_what_was_found(leaky: Engine) -> None:
    done(leaky, "check mess --only personal")
    folder = leaky.workspace.paths.quality / "mess"
    assert list(folder.iterdir())
    say(leaky, "forget mess --yes")
    assert not folder.exists()


def test_a_check_that_is_cancelled_leaves_nothing(leaky: Engine) -> None:
    record, token = leaky.workspace.datasets.get("mess"), CancelToken()
    token.ask("cancel")
    with pytest.raises(Stopped):
        check(JobContext("1", leaky.workspace, lambda event: None, token, resumed=False), record, None)
    assert kept.last_report(leaky.workspace, "mess") is None


def test_a_damaged_file_is_as_if_it_were_not_there(leaky: Engine) -> None:
    done(leaky, "check mess --only leaks")
    for file in (leaky.workspace.paths.quality / "mess").iterdir():
        file.write_text('{"dataset": "mess"')
    with pytest.raises(NotFound):
        say(leaky, "findings mess")
    assert len(done(leaky, "check mess --only leaks")["findings"]) == 2


def test_rows_in_words_of_sql() -> None:
    rows = rows_by_split([("train", 3), ("train", 4), ("train", 5), ("train", 6), ("train", 9), ("te'st", 0), ("train", 11)])
    assert rows == {"train": "(_row BETWEEN 3 AND 6 OR _row IN (9, 11))", "te'st": "_row = 0"}
    assert joined(rows) == "(_split = 'train' AND (_row BETWEEN 3 AND 6 OR _row IN (9, 11))) OR (_split = 'te''st' AND _row = 0)"
    assert joined({}) == "false"


# -- near by words -------------------------------------------------------------------------------------------------


def test_shingles_of_many_texts_are_those_of_each() -> None:
    texts = ["Can I get a card?", "x", "", "Grüße – 你好世界", "can i get  a CARD!"]
    hashes, starts = shingles(texts)
    one_by_one = [shingles([text])[0].tolist() for text in texts]
    assert [hashes[a:b].tolist() for a, b in pairwise(starts)] == one_by_one
    assert one_by_one[0] == one_by_one[4] != one_by_one[3]
    assert jaccard(shingle_set("Can I get a card?"), shingle_set("can i get a CARD!")) == 1.0
    assert jaccard(shingle_set(texts[0]), shingle_set(texts[3])) == 0.0


# -- by meaning ----------------------------------------------------------------------------------------------------


def unit(rows: int, seed: int = 1) -> Any:
    found = np.random.default_rng(seed).normal(size=(rows, 16)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.fixture
def job(engine: Engine) -> JobContext:
    return JobContext("1", engine.workspace, lambda event: None, CancelToken(), resumed=False)


@pytest.mark.parametrize("block", [10_000, 64 * 2**20])
def test_blocks_find_what_the_whole_product_shows(job: JobContext, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(meaning, "BLOCK", block)
    matrix = unit(3000)
    likeness = matrix @ matrix.T
    pairs = Pairs()
    assert meaning.find(job, np.arange(3000) * 2, matrix, pairs, 0.85)
    left, right = np.nonzero(np.triu(likeness >= 0.85, 1))
    assert len(left) > 5
    assert set(zip(pairs.left, pairs.right, strict=True)) == set(zip((left * 2).tolist(), (right * 2).tolist(), strict=True))
    np.fill_diagonal(likeness, -2)
    found = meaning.nearest(job, matrix, 5)
    assert np.allclose(found.scores, -np.sort(-likeness, axis=1)[:, :5], atol=1e-6)
    assert np.allclose(np.take_along_axis(likeness, found.places, 1), found.scores, atol=1e-6)


def test_flipped_labels_are_the_surest_doubts(job: JobContext) -> None:
    middles = np.eye(6, 16, dtype=np.float32)
    truth = np.repeat(np.arange(6), 60).astype(np.int32)
    matrix = middles[truth] + 0.15 * unit(360, seed=4)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    given = truth.copy()
    flipped = np.random.default_rng(5).choice(360, 18, replace=False)
    given[flipped] = (given[flipped] + 1) % 6
    given[0] = -1
    doubts = labels.doubts(matrix, meaning.nearest(job, matrix, labels.NEIGHBOURS), given)
    found = {doubt.place for doubt in doubts}
    assert found <= set(flipped.tolist()) and len(found) >= 15, "none that is right; two that were flipped alike may hide each other"
    assert all(doubt.says == truth[doubt.place] for doubt in doubts)
    assert [doubt.score for doubt in doubts] == sorted((doubt.score for doubt in doubts), reverse=True)


@pytest.mark.slow
def test_with_an_index_meaning_and_labels_are_looked_at(with_starter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.engine import Engine

    monkeypatch.setenv("BITTERN_RUNNER", "thread")
    rows = [(sentence.format(n=n), theme) for theme, sentence in THEMES.items() for n in range(100, 110)]
    rows[3] = (rows[3][0], "rate")
    table(tmp_path / "bank", "train", [*rows, ("How do I reset my password?", "phone")])
    table(tmp_path / "bank", "test", [("How can I reset my password?", "phone"), ("Bread needs flour and water.", "rate")])
    engine = Engine(with_starter, everything=True)
    try:
        for line in (f"add {tmp_path / 'bank'} --text text --label label", "index bank"):
            finish(engine, say(engine, line).data["job"], seconds=240)
        data = done(engine, "check bank")
        found = {finding["finding"]: finding for finding in data["findings"]}
        assert data["skipped"] == []
        assert [row["address"] for row in found["leaks.meaning"]["examples"][0]["rows"]] == ["bank/test/0", "bank/train/30"]
        assert found["labels.neighbours"]["examples"][0]["rows"][0]["address"] == "bank/train/3"
        assert "neighbours say card" in found["labels.neighbours"]["examples"][0]["rows"][0]["note"]
        assert done(engine, "atlas bank")["by"] == "meaning"
    finally:
        engine.close(5)


# -- personal data -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("write to anna.smith+x@mailbox.co.uk, please", "email"),
        ("ring +44 20 7946 0958 after six", "phone"),
        ("ring (415) 555-2671", "phone"),
        ("Telefon 030/1234567", "phone"),
        ("paid with 4111 1111 1111 1111 yesterday", "card"),
        ("amex 378282246310005", "card"),
        ("to GB82 WEST 1234 5698 7654 32 today", "iban"),
        ("DE89370400440532013000", "iban"),
        ("from 93.184.216.34", "ip"),
        ("from 2606:2800:220:1:248:1893:25c8:1946", "ip"),
        ("AKIAIOSFODNN7EXAMPLE", "key"),
        ("token ghp_" + "aB3" * 12, "key"),
        ("-----BEGIN RSA PRIVATE KEY-----", "key"),
        ("password = hunter2hunter3x", "password"),
    ],
)
def test_personal_data_is_seen(text: str, kind: str) -> None:
    assert [hint.kind for hint in hints(text)] == [kind]


@pytest.mark.parametrize(
    "text",
    [
        "on 2024-01-02 at 12:30:45, or 02/01/2024",
        "it costs 1,234,567.89 or $1234567890",
        "order 4111111111111112 was sent",
        "version 1.2.3.4, from 192.168.0.1, 127.0.0.1 and 10.0.0.7",
        "see RFC 2822, ISBN 978-3-16-148410-0",
        "pi is 3.14159265358979",
        "GB82 WEST 1234 5698 7654 33",
        "mail user@example.com or root@localhost, logo@2x.png",
        "password: please choose one",
        "a b c 1 2 3 4 5 6 7 8 9 10 11 12",
        "2 + 3 = 5; 100 200 300 400",
        "::1 and std::vector<int>",
        "in 1998-2004 and 2010 2011 2012 2013",
    ],
)
def test_ordinary_numbers_are_not_personal(text: str) -> None:
    assert list(hints(text)) == []


def test_the_check_digit_of_cards() -> None:
    assert luhn("4111111111111111") and not luhn("4111111111111112")


def test_public_sets_hold_few_hints(data: Path) -> None:
    """Banking questions and grade-school sums are full of numbers, and none of them is anybody's."""
    with (data / "cls-banking77" / "train.csv").open(encoding="utf-8") as file:
        assert not [row["text"] for row in csv.DictReader(file) if list(hints(row["text"]))]
    sums = [line for path in sorted((data / "sft-gsm8k").glob("*.jsonl"))[:1] for line in path.read_text("utf-8").splitlines()]
    assert len(sums) > 1000 and sum(bool(list(hints(line))) for line in sums) <= len(sums) // 1000


# -- the map -------------------------------------------------------------------------------------------------------


@pytest.fixture
def themes(engine: Engine, tmp_path: Path) -> Engine:
    rows = [(sentence.format(n=n), theme) for n in range(100, 140) for theme, sentence in THEMES.items()]
    finish(engine, say(engine, f"add {table(tmp_path, 'themes', rows)} --test 0 --text text --label label").data["job"])
    return engine


def test_a_map_by_words_parts_the_themes_and_names_them(themes: Engine) -> None:
    with pytest.raises(NotFound, match="no map yet"):
        say(themes, "clusters themes")
    data = done(themes, "atlas themes")
    assert data["by"] == "words" and data["points"] == 120 and sum(cluster["rows"] for cluster in data["clusters"]) == 120
    again = say(themes, "atlas themes")
    assert "job" not in again.data and again.data == data and again.opens == "map:themes"
    assert say(themes, "clusters themes").data == data
    from engine.commands.data.quality import everywhere, last_map, points_by_split

    atlas = last_map(themes.workspace, "themes")
    assert (atlas.x.min(), atlas.x.max(), atlas.y.min(), atlas.y.max()) == (0, 1, 0, 1)
    assert len({(int(cluster), int(label)) for cluster, label in zip(atlas.cluster, atlas.label, strict=True)}) <= len(data["clusters"]) + 1
    assert any({"exchange", "dollars", "rate"} & set(name.split(", ")) for name in atlas.names)
    cards = [point for point in range(120) if atlas.labels[atlas.label[point]] == "card"]
    where = everywhere(points_by_split(atlas, cards))
    with Sql([themes.workspace.datasets.get("themes")]) as sql:
        assert sql.table(f"SELECT DISTINCT label FROM themes WHERE {where}").to_pylist() == [{"label": "card"}]


def test_a_map_of_a_sample_says_so(themes: Engine) -> None:
    assert done(themes, "atlas themes --rows 50")["points"] == 50
    assert "50 of 120 rows" in say(themes, "clusters themes").summary


def test_what_cannot_be_mapped_says_why(engine: Engine, tmp_path: Path) -> None:
    finish(engine, say(engine, f"add {table(tmp_path, 'two', [('hello there', 'a'), ('good bye', 'b')])} --test 0").data["job"])
    job = finish(engine, say(engine, "atlas two").data["job"], state="failed")
    assert "fewer than three rows" in job.error["message"]
