"""Versions: what each step makes, undo and redo, replay from the source, and nothing lost on the way."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine.data.lineage import change as changing
from engine.data.lineage import steps, versions
from engine.data.rows import load_split, window
from engine.errors import DataError, Stopped
from engine.store.datasets import DatasetRecord
from tests.fakes.lineage import Lab, flat, sixty

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def lab(home: Path, tmp_path: Path) -> Iterator[Lab]:
    made = sixty(home, tmp_path)
    yield made
    made.workspace.close()


def test_a_filter_is_a_version_and_undo_takes_it_back(lab: Lab) -> None:
    before = lab.rows("t")
    first = lab.workspace.datasets.get("t")
    second = lab.do("t", steps.Filter(expression="label = 'a' -- the larger one"))
    assert lab.rows("t") == {split: [row for row in rows if row["label"] == "a"] for split, rows in before.items()}
    assert second.fingerprint != first.fingerprint and second.bytes > 0 and (second.shape, second.columns) == (first.shape, first.columns)
    assert versions.undo(lab.workspace, "t").record == first == lab.workspace.datasets.get("t") and lab.rows("t") == before
    with pytest.raises(DataError, match="nothing to undo"):
        versions.undo(lab.workspace, "t")
    assert versions.redo(lab.workspace, "t").record == second == lab.workspace.datasets.get("t")
    with pytest.raises(DataError, match="nothing to redo"):
        versions.redo(lab.workspace, "t")


def test_the_same_step_is_the_same_version(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    step = steps.Filter(expression="n < 20")
    made = lab.do("t", step)
    versions.undo(lab.workspace, "t")
    monkeypatch.setattr(changing, "apply", None)  # whoever does the work twice falls here
    assert lab.do("t", step) == made and len(lab.workspace.versions.all("t")) == 2


def test_a_new_step_after_undo_keeps_the_other_branch(lab: Lab) -> None:
    lab.do("t", steps.Filter(expression="n < 20"))
    versions.undo(lab.workspace, "t")
    lab.do("t", steps.Drop(columns=("n",)))
    versions.undo(lab.workspace, "t")
    assert versions.redo(lab.workspace, "t").number == 3, "redo follows what was left last"
    assert versions.go_to(lab.workspace, "t", 2).record.rows < 60 and [v.number for v in lab.workspace.versions.all("t")] == [1, 2, 3]


def test_a_step_that_changes_nothing_is_no_version(lab: Lab) -> None:
    before = lab.workspace.datasets.get("t")
    row = lab.rows("t")["train"][3]
    for step in (
        steps.Filter(expression="n >= 0"), steps.Sample(rows=1000), steps.Edit(split="train", row=3, column="text", value=row["text"]),
        steps.Label(split="train", row=3, column="label", value=row["label"]),
    ):  # fmt: skip
        assert lab.do("t", step) == before
    assert len(lab.workspace.versions.all("t")) == 1


REFUSED: list[tuple[steps.Step, str]] = [
    (steps.Filter(expression="n > 1000"), "No row of t would be left"),
    (steps.Filter(expression="nn > 1"), "no column “nn”"),
    (steps.Filter(expression="n > "), "can't be read"),
    (steps.Filter(expression="n > 1) UNION ALL SELECT (1"), "can't be read"),
    (steps.Filter(expression="random() < 0.5"), "something else each time"),
    (steps.Map(column="x", expression="current_timestamp"), "something else each time"),
    (steps.Map(column="x", expression="unnest([1, 2])"), "one value for each row"),
    (steps.Map(column="x", expression="NULL"), "nothing but empty cells"),
    (steps.Map(column="_row", expression="1"), "can't be called"),
    (steps.Rename(old="text", new="label"), "a column “label” already"),
    (steps.Rename(old="texxt", new="x"), "no column “texxt”"),
    (steps.Drop(columns=("text", "label", "n")), "No column of t would be left"),
    (steps.Cast(column="text", to="int64"), "is not a whole number. 48 values of train don't fit"),
    (steps.Divide(test=0.5, split="train"), "has a split “test” already"),
    (steps.Dedupe(on=("nope",)), "no column “nope”"),
    (steps.Edit(split="train", row=0, column="nope", value=1), "no column “nope”"),
]


def test_what_can_not_be_done_changes_nothing(lab: Lab) -> None:
    before = lab.workspace.datasets.get("t"), lab.workspace.versions.all("t"), sorted(lab.workspace.paths.datasets.rglob("*"))
    for step, says in REFUSED:
        with pytest.raises(DataError, match=says):
            lab.do("t", step)
        assert (lab.workspace.datasets.get("t"), lab.workspace.versions.all("t"), sorted(lab.workspace.paths.datasets.rglob("*"))) == before


def test_columns(lab: Lab) -> None:
    before = flat(lab.rows("t"))
    made = lab.do("t", steps.Map(column="half", expression="n * 0.5"))
    assert made.features["half"] == "float64" and [row["half"] for row in flat(lab.rows("t"))] == [row["n"] / 2 for row in before]
    made = lab.do("t", steps.Map(column="place", expression="row_number() OVER (ORDER BY n DESC, text)"))
    train = lab.rows("t")["train"]
    assert [row["n"] for row in sorted(train, key=lambda row: row["place"])] == sorted((row["n"] for row in train), reverse=True)
    made = lab.do("t", steps.Rename(old="text", new="body"))
    assert made.columns == {"text": "body", "label": "label"} and list(made.features) == ["body", "label", "n", "half", "place"]
    made = lab.do("t", steps.Map(column="body", expression="upper(body) || _split || _row"))
    assert lab.rows("t")["test"][1]["body"].endswith("LENGTHtest1") and made.columns["text"] == "body"
    made = lab.do("t", steps.Map(column="more", expression="{'list': [n, n + 1], 'when': DATE '2026-01-31'}"))
    assert made.features["more"] == "struct {list: list of int64, when: date32}"
    assert load_split(made, "test")[1]["more"]["list"] == [lab.rows("t")["test"][1]["n"], lab.rows("t")["test"][1]["n"] + 1]
    made = lab.do("t", steps.Drop(columns=("label", "half", "more")))
    assert (made.shape, made.columns) == ("text", {"text": "body"}), "without its label it is recognised anew"
    assert load_split(made, "test")[1] == window(made, "test", 1, 1)[0]


def test_cast_says_what_does_not_fit(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("a,b\n" + "".join(f"{value},x\n" for value in ("1", "2.5", "7", "much", "9007199254740993")))
    lab.add(tmp_path / "c.csv", test=0)
    with pytest.raises(DataError) as caught:
        lab.do("c", steps.Cast(column="a", to="int64"))
    assert "“2.5” in c/train/1, column a, is not a whole number. 2 values" in caught.value.message and "--bad null" in caught.value.hint
    lab.do("c", steps.Cast(column="a", to="int64", bad="null"))
    assert [row["a"] for row in lab.rows("c")["train"]] == [1, None, 7, None, 9007199254740993]
    lab.do("c", steps.Cast(column="a", to="string"))
    assert [row["a"] for row in lab.rows("c")["train"]] == ["1", None, "7", None, "9007199254740993"]
    with pytest.raises(DataError, match="“7” in c/train/2, column a, is not true or false"):
        lab.do("c", steps.Cast(column="a", to="bool"))


def test_a_column_that_becomes_a_text_may_make_another_shape(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "dates.jsonl").write_text(
        "".join(f'{{"prompt": "the {n}th of May 1969", "completion": "1969-05-{n:02}", "n": {n}}}\n' for n in range(4, 20))
    )
    read = lab.add(tmp_path / "dates.jsonl", test=0)
    assert (read.shape, read.features["completion"]) == ("text", "timestamp[s]"), "pyarrow reads a date where it sees one"
    assert lab.do("dates", steps.Cast(column="n", to="string")).shape == "text"
    made = lab.do("dates", steps.Cast(column="completion", to="string"))
    assert (made.shape, made.columns) == ("instruction", {"prompt": "prompt", "completion": "completion"})


def test_rows_by_chance_are_the_same_each_time(lab: Lab) -> None:
    before = lab.rows("t")
    every = Counter(map(str, flat(before)))
    made = lab.do("t", steps.Sample(rows=30))
    assert made.splits == {"train": 24, "test": 6} and not Counter(map(str, flat(lab.rows("t")))) - every
    whole = iter(before["train"])
    assert all(row in whole for row in lab.rows("t")["train"]), "they keep their order"
    versions.undo(lab.workspace, "t")
    assert lab.do("t", steps.Sample(part=0.5, seed=1)).splits == {"train": 24, "test": 6} != lab.do("t", steps.Sample(part=0.5, split="train")).splits
    versions.go_to(lab.workspace, "t", 1)
    lab.do("t", steps.Shuffle(seed=3, split="train"))
    after = lab.rows("t")
    assert after["test"] == before["test"] and after["train"] != before["train"] and Counter(map(str, flat(after))) == every


def test_split_gives_each_label_its_part(lab: Lab) -> None:
    every = Counter(map(str, flat(lab.rows("t"))))
    made = lab.do("t", steps.Divide(test=0.25, validation=0.15, by="label"))
    rows = lab.rows("t")
    assert made.splits == {"train": 36, "validation": 9, "test": 15} and Counter(map(str, flat(rows))) == every
    assert Counter(row["label"] for row in rows["test"]) == {"a": 10, "b": 5}
    assert Counter(row["label"] for row in rows["validation"]) == {"a": 6, "b": 3}
    lab.do("t", steps.Filter(expression="_split <> 'validation'"))
    assert list(lab.rows("t")) == ["train", "test"], "a split without rows is gone"


def test_duplicates_keep_the_first(lab: Lab) -> None:
    before = lab.rows("t")
    lab.do("t", steps.Dedupe())
    seen: set[str] = set()
    expected = {split: [row for row in rows if str(row) not in seen and not seen.add(str(row))] for split, rows in before.items()}  # type: ignore[func-returns-value]
    assert lab.rows("t") == expected and len(seen) == 54
    assert lab.do("t", steps.Dedupe(on=("label",))).rows == 2


def test_concat_names_what_differs(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "o.csv").write_text("text,label,more\nanother row,c,1\nyet another,c,2\n")
    other = lab.add(tmp_path / "o.csv", test=0)
    step = steps.Concat(others=(steps.Other(name="o", fingerprint=other.fingerprint),))
    with pytest.raises(DataError, match="t has no “more”, o has no “n”"):
        lab.do("t", step)
    before = lab.rows("t")
    made = lab.do("t", step.model_copy(update={"union": True}))
    assert list(made.features) == ["text", "label", "n", "more"] and made.splits == {"train": 50, "test": 12}
    assert lab.rows("t")["train"][48:] == [{"text": text, "label": "c", "n": None, "more": n} for text, n in (("another row", 1), ("yet another", 2))]
    assert lab.rows("t")["train"][:48] == [{**row, "more": None} for row in before["train"]]
    lab.do("o", steps.Cast(column="more", to="string"))
    other = lab.workspace.datasets.get("o")
    with pytest.raises(DataError, match="“more” is int64 in t and string in o") as caught:
        lab.do("t", steps.Concat(others=(steps.Other(name="o", fingerprint=other.fingerprint),)))
    assert caught.value.hint.endswith("cast o more int64")
    assert lab.replay("t").steps == 1, "the other dataset is taken at the version that it had"


def test_an_edit_writes_one_piece_and_shares_the_rest(lab: Lab) -> None:
    before = lab.rows("t")
    first = lab.workspace.datasets.get("t")
    made = lab.do("t", steps.Edit(split="train", row=17, column="text", value="new"))
    expected = {**before, "train": [{**row, "text": "new"} if n == 17 else row for n, row in enumerate(before["train"])]}
    assert lab.rows("t") == expected and [row["text"] for row in load_split(made, "train")] == [row["text"] for row in expected["train"]]
    file = next((lab.workspace.paths.datasets / "t" / made.fingerprint / "test").glob("*.arrow"))
    assert file.stat().st_nlink == 2 and window(first, "train", 17, 1) == before["train"][17:18]
    lab.do("t", steps.Edit(split="train", row=17, column="n", value=None))
    assert lab.rows("t")["train"][17]["n"] is None
    versions.undo(lab.workspace, "t")
    versions.undo(lab.workspace, "t")
    assert lab.rows("t") == before, "undo goes edit by edit"


def test_edits_cut_a_large_file_small_around_them(home: Path) -> None:
    from datasets import Dataset

    lab, count = Lab(home), 60_000
    folder = home / "datasets" / "big"
    Dataset.from_dict({"text": [f"a row of words, number {n}, that is not too short" for n in range(count)]}).save_to_disk(str(folder / "train"))
    lab.workspace.datasets.put(DatasetRecord("big", "", str(folder), "v0", {"train": count}, {"text": "string"}, "text", {"text": "text"}, 3_000_000))
    places = [0, 59_999, 31_234, 31_235, 31_234, 7]
    for number, row in enumerate(places):
        made = lab.do("big", steps.Edit(split="train", row=row, column="text", value=f"new {number}"))
    new = [file for file in Path(made.folder, "train").glob("*.arrow") if file.stat().st_nlink == 1]
    assert sum(file.stat().st_size for file in new) < 200_000 < 3_000_000 < made.bytes
    texts = load_split(made, "train")["text"]
    expected = {row: f"new {number}" for number, row in enumerate(places)}
    assert all(texts[n] == expected.get(n, f"a row of words, number {n}, that is not too short") for n in (*range(0, count, 997), *places))
    assert len(texts) == count and window(made, "train", 31_233, 4)[1:3] == [{"text": "new 4"}, {"text": "new 3"}]
    lab.workspace.close()


def test_labels_make_their_column(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_text("text\n" + "".join(f"a note about number {n}\n" for n in range(8)))
    lab.add(tmp_path / "n.csv", test=0.25)
    made = lab.do("n", steps.Label(split="train", row=2, column="label", value="zorb"))
    assert (made.shape, made.columns) == ("classification", {"text": "text", "label": "label"})
    lab.do("n", steps.Label(split="train", row=0, column="label", value="blip"))
    assert [row["label"] for row in lab.rows("n")["train"]] == ["blip", None, "zorb", None, None, None] and len(lab.rows("n")["test"]) == 2
    assert lab.replay("n").steps == 2


def test_an_edit_of_rows_that_moved_is_refused(lab: Lab) -> None:
    at = lab.workspace.datasets.get("t").fingerprint
    step = steps.Label(split="train", row=0, column="label", value="zorb")
    lab.do("t", steps.Map(column="x", expression="n"))
    versions.edit(lab.workspace, lab.job(), "t", step, at=at)
    lab.do("t", steps.Shuffle())
    with pytest.raises(DataError, match="in another order meanwhile"):
        versions.edit(lab.workspace, lab.job(), "t", step, at=at)


def test_a_step_on_rows_that_changed_meanwhile_is_done_on_the_new_ones(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    apply = changing.apply

    def slow(*arguments: Any) -> DatasetRecord | None:
        monkeypatch.setattr(changing, "apply", apply)
        lab.do("t", steps.Edit(split="train", row=0, column="label", value="zorb"))
        return apply(*arguments)

    monkeypatch.setattr(changing, "apply", slow)
    before = lab.rows("t")["train"]
    lab.do("t", steps.Filter(expression="n < 20"))
    assert lab.rows("t")["train"] == [{**row, "label": "zorb"} if n == 0 else row for n, row in enumerate(before) if row["n"] < 20]
    assert [version.step["kind"] for version in lab.workspace.versions.all("t")] == ["start", "edit", "filter"]


def test_a_kill_or_a_cancel_leaves_the_version_that_was(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    before, rows = lab.workspace.datasets.get("t"), lab.rows("t")

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for place, name in ((versions, "replace_folder"), (lab.workspace.versions, "put"), (changing.Making, "described")):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, dies)
            with pytest.raises(KeyboardInterrupt):
                lab.do("t", steps.Shuffle())
        assert lab.workspace.datasets.get("t") == before and lab.rows("t") == rows and len(lab.workspace.versions.all("t")) == 1
    lab.token.ask("cancel")
    with pytest.raises(Stopped):
        lab.do("t", steps.Shuffle())
    assert lab.workspace.datasets.get("t") == before
    versions.sweep(lab.workspace, "t")
    assert [entry.name for entry in (lab.workspace.paths.datasets / "t").iterdir()] == [before.fingerprint], "what was left is swept away"


def test_a_new_import_keeps_what_was_before(lab: Lab, tmp_path: Path) -> None:
    old = lab.do("t", steps.Filter(expression="n < 20"))
    (tmp_path / "t.csv").write_text("text,label,n\nquite another row,a,1\nand one more,b,2\n")
    new = lab.add(tmp_path / "t.csv", test=0)
    assert new.rows == 2 and versions.undo(lab.workspace, "t").record == old
    with pytest.raises(DataError, match="no longer what it was: 60 rows then"):
        lab.replay("t")
    assert versions.redo(lab.workspace, "t").record == new and lab.replay("t").steps == 0


def test_a_new_dataset_keeps_the_lineage(lab: Lab) -> None:
    lab.do("t", steps.Filter(expression="n < 30"))
    rows = lab.rows("t")
    made = lab.do("t", steps.Drop(columns=("n",)), "part")
    assert made.name == "part" and lab.workspace.datasets.get("t").rows == len(flat(rows))
    assert [version.step["kind"] for version in lab.workspace.versions.all("part")] == ["start", "filter", "drop"]
    done = lab.replay("part")
    assert (done.steps, done.imported, done.rebuilt) == (2, True, False)
    with pytest.raises(DataError, match="no longer on the disk"):
        versions.undo(lab.workspace, "part")
    assert lab.replay("part", 2).rebuilt and versions.undo(lab.workspace, "part").number == 2 and lab.rows("part") == rows
    with pytest.raises(DataError, match="already a dataset"):
        lab.do("t", steps.Shuffle(), "part")


def test_pruned_versions_come_back(lab: Lab) -> None:
    first = lab.rows("t")
    lab.do("t", steps.Edit(split="train", row=1, column="text", value="new"))
    lab.do("t", steps.Filter(expression="n < 30"))
    now = lab.rows("t")
    old, free = versions.prune(lab.workspace, "t", do=False)
    assert [version.number for version in old] == [1, 2] and free > 0
    assert versions.prune(lab.workspace, "t", do=True) == (old, free) and versions.prune(lab.workspace, "t", do=False) == ([], 0)
    assert lab.rows("t") == now and len(list((lab.workspace.paths.datasets / "t").iterdir())) == 1
    with pytest.raises(DataError, match="no longer on the disk") as caught:
        versions.undo(lab.workspace, "t")
    assert caught.value.hint.endswith("replay t --to 2")
    assert lab.replay("t").rebuilt is False
    assert lab.replay("t", 1).rebuilt and versions.go_to(lab.workspace, "t", 1).number == 1 and lab.rows("t") == first


def test_replay_sees_rows_that_were_tampered_with(lab: Lab) -> None:
    made = lab.do("t", steps.Filter(expression="n < 30"))
    forged = lab.do("t", steps.Edit(split="train", row=4, column="text", value="forged"))
    versions.undo(lab.workspace, "t")
    import shutil

    shutil.rmtree(f"{made.folder}/train")
    shutil.copytree(f"{forged.folder}/train", f"{made.folder}/train")
    with pytest.raises(DataError, match="Row 4 of t/train is not what its lineage gives"):
        lab.replay("t")


def test_features_that_arrow_can_not_say_survive(home: Path, tmp_path: Path) -> None:
    from datasets import Dataset, Features, Image, Json, List, Value

    lab = Lab(home)
    features = Features({"j": Json(), "i": Image(decode=False), "l": List(Value("string")), "f": Value("float32"), "k": Value("int64")})
    rows = [{"j": {"a": n}, "i": {"bytes": b"x" * n, "path": f"{n}.png"}, "l": ["a"] * (n % 3), "f": float("nan"), "k": n} for n in range(20)]
    data = Dataset.from_list(rows, features=features)
    data.save_to_disk(str(home / "datasets" / "m" / "train"))
    words = {"j": "json", "i": "image", "l": "list of string", "f": "float32", "k": "int64"}
    lab.workspace.datasets.put(DatasetRecord("m", "by hand", str(home / "datasets" / "m"), "v0", {"train": 20}, words, "table", {}, 2000))
    for step in (
        steps.Filter(expression="k > 3"), steps.Shuffle(), steps.Sample(rows=12), steps.Rename(old="k", new="n"), steps.Map(column="n", expression="n + 1"),
        steps.Edit(split="train", row=2, column="j", value={"b": [1, None]}), steps.Edit(split="train", row=3, column="l", value=["x", "y"]),
        steps.Divide(test=0.25), steps.Dedupe(on=("n",)),
    ):  # fmt: skip
        made = lab.do("m", step)
    assert made.features == {("n" if name == "k" else name): kind for name, kind in words.items()}
    loaded = load_split(made, "train")
    assert {name: type(feature).__name__ for name, feature in loaded.features.items()} == {
        "j": "Json", "i": "Image", "l": "List", "f": "Value", "n": "Value",
    }  # fmt: skip
    assert all(row["i"]["path"] == f"{row['n'] - 1}.png" for row in loaded) and len(loaded) == 9
    assert any(row["j"] == {"b": [1, None]} for split in made.splits for row in window(made, split, 0, 20))
    done = lab.replay("m")
    assert (done.steps, done.imported) == (8, False), "with no known source, it starts from the first version kept"
    lab.workspace.close()
