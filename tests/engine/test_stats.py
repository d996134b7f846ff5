"""stats: every figure beside the same figure made by hand."""

from __future__ import annotations

import datetime
import json
import random
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engine.data.looking import stats
from engine.errors import ModelError, NotFound
from tests.fakes.follow import finish
from tests.fakes.tables import put, say
from tui.state.stats import StatsView

if TYPE_CHECKING:
    from pathlib import Path

    from engine.engine import Engine

rng = random.Random(5)
COUNT = 3000
ROWS: dict[str, list[Any]] = {
    "text": [" ".join(rng.choice(["where", "is", "my", "parcel", "please", "help", "me"]) for _ in range(rng.randint(5, 40))) for _ in range(COUNT)],
    "label": [rng.choice(["refund", "lost", "late", "late"]) for _ in range(COUNT)],
    "amount": [None if n % 10 == 0 else round(rng.gauss(50, 20), 2) for n in range(COUNT)],
    "odd": [float("nan") if n == 3 else float("inf") if n == 4 else n / 7 for n in range(COUNT)],
    "stars": [rng.randint(1, 5) for _ in range(COUNT)],
    "big": [2**62 + n for n in range(COUNT)],
    "same": [7] * COUNT,
    "open": [n % 3 == 0 for n in range(COUNT)],
    "day": [datetime.date(2026, 1, 1) + datetime.timedelta(days=n % 90) for n in range(COUNT)],
    "at": [datetime.datetime(2026, 1, 1, 12) + datetime.timedelta(minutes=n) for n in range(COUNT)],
    "tags": [["a"] * (n % 4) for n in range(COUNT)],
    "facts": [{"k": n} for n in range(COUNT)],
    "nothing": [None] * COUNT,
}  # fmt: skip


def done(engine: Engine, line: str) -> dict[str, Any]:
    """The statistics, by way of a job."""
    job = finish(engine, say(engine, line).data["job"])
    found: dict[str, Any] = json.loads((engine.workspace.paths.job(job.id) / "result.json").read_text("utf-8"))["data"]
    return found


@pytest.fixture
def tickets(engine: Engine) -> Engine:
    splits = {"train": {k: v[:2700] for k, v in ROWS.items()}, "test": {k: v[2700:] for k, v in ROWS.items()}}
    put(engine, "tickets", splits, shape="classification", columns={"text": "text", "label": "label"})
    return engine


def test_every_figure(tickets: Engine) -> None:
    found = done(tickets, "stats tickets")
    column = {item["name"]: item for item in found["columns"]}
    assert found["rows"] == COUNT and found["splits"] == {"train": 2700, "test": 300} and [name for name in column if name != "facts.k"] == list(ROWS)
    assert column["facts.k"]["part_of"] == "facts" and column["facts.k"]["figures"]["max"] == COUNT - 1
    kinds = {name: item["kind"] for name, item in column.items() if name != "facts.k"}
    assert kinds == {
        "text": "text", "label": "string", "amount": "number", "odd": "number", "stars": "number", "big": "number", "same": "number",
        "open": "boolean", "day": "time", "at": "time", "tags": "list", "facts": "struct", "nothing": kinds["nothing"],
    }  # fmt: skip
    assert {name: item["nulls"] for name, item in column.items() if item["nulls"]} == {"amount": 300, "nothing": COUNT}
    measured = {
        "text": [len(text) for text in ROWS["text"]], "label": [len(text) for text in ROWS["label"]], "stars": ROWS["stars"], "big": ROWS["big"],
        "amount": [x for x in ROWS["amount"] if x is not None], "odd": [x for x in ROWS["odd"] if np.isfinite(x)], "tags": [len(x) for x in ROWS["tags"]],
    }  # fmt: skip
    for name, values in measured.items():
        figures, numbers = column[name]["figures"], np.asarray(values)
        assert (figures["min"], figures["max"]) == (min(values), max(values)), name
        assert figures["mean"] == pytest.approx(numbers.mean()), name
        assert figures["std"] == pytest.approx(numbers.std(ddof=1)) or name == "big", name  # beyond what a float can part
        for at, value in figures["quantiles"].items():
            assert value == pytest.approx(np.quantile(numbers.astype(float), float(at))), (name, at)
        edges, counts = column[name]["histogram"]["edges"], column[name]["histogram"]["counts"]
        assert sum(counts) == len(values) and len(counts) == len(edges) - 1 <= 23, (name, edges, counts)
        inside = [sum(low < x <= high or x == low == edges[0] for x in values) for low, high in pairwise(edges)]
        assert counts == inside, name
    for name in ("text", "label", "amount", "odd", "stars", "same", "open", "day", "at"):
        values = [value for value in ROWS[name] if value is not None]
        assert column[name]["distinct"] == len({str(value) for value in values}) and not column[name]["distinct_approximate"], name
    for name in ("label", "stars", "open"):
        counted = sorted(Counter(ROWS[name]).items(), key=lambda item: (-item[1], item[0]))
        assert column[name]["top"] == [{"value": value, "count": count} for value, count in counted], name
    assert column["odd"]["figures"]["not_finite"] == 2 and column["at"]["figures"]["first"].startswith("2026-01-01 12:00")
    assert "figures" not in column["nothing"] and "top" not in column["big"]
    shares = {item["value"]: item["share"] for item in found["balance"]["splits"]["test"]}
    assert shares == {label: pytest.approx(count / 300) for label, count in Counter(ROWS["label"][2700:]).items()}
    assert column["text"]["language"]["sample"] >= 1000 and column["text"]["language"]["languages"][0]["language"] == "en"


def test_a_bar_selects_what_it_counts(tickets: Engine) -> None:
    found = done(tickets, "stats tickets")
    bars = [
        (column["name"], bar.count, bar.where)
        for number, column in enumerate(found["columns"]) if "histogram" in column
        for heading, bars in StatsView("tickets", data=found).bars(number) if heading.startswith(("Values", "Length"))
        for bar in bars
    ]  # fmt: skip
    counted = tickets.query("SELECT " + ", ".join(f"count(*) FILTER (WHERE {where})" for _, _, where in bars) + " FROM tickets").run()
    assert list(counted.window(0, 1)[0].values()) == [count for _, count, _ in bars] and {name for name, _, _ in bars} >= {"big", "at", "tags", "odd"}


def test_the_second_time_it_is_there_at_once(tickets: Engine) -> None:
    first = done(tickets, "stats tickets")
    again = say(tickets, "stats tickets")
    assert again.data == first and again.opens == "stats:tickets" and len(tickets.jobs()) == 1
    assert again.table is not None and "train: late 49.9%" in again.body and "languages of 1," in again.body
    assert "job" in say(tickets, "stats tickets --again").data
    put(tickets, "tickets", {"train": {"text": ["new"]}}, fingerprint="f2")
    assert stats.cached(tickets.workspace.datasets.get("tickets")) is None, "another version of the dataset"
    with pytest.raises(NotFound):
        say(tickets, "stats tickts")


def test_a_damaged_file_is_computed_again(tickets: Engine) -> None:
    done(tickets, "stats tickets")
    record = tickets.workspace.datasets.get("tickets")
    stats._file(record).write_text('{"version": 1, "fing')
    assert done(tickets, "stats tickets")["rows"] == COUNT


def test_estimates_say_so(tickets: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "HUGE", 1000)
    column = {item["name"]: item for item in done(tickets, "stats tickets")["columns"]}
    assert column["at"]["distinct_approximate"] and 2700 < column["at"]["distinct"] < 3300 and "top" not in column["at"]
    assert column["label"]["distinct"] == 3 and not column["label"]["distinct_approximate"], "few values are counted even so"
    assert column["amount"]["figures"]["approximate"] and column["amount"]["figures"]["quantiles"]["0.5"] == pytest.approx(50, abs=3)


def test_tokens(tickets: Engine, tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    from engine.store.models import ModelRecord

    words = {word: n for n, word in enumerate(["[UNK]", "where", "is", "my", "parcel", "please", "help", "me"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    tickets.workspace.models.put(ModelRecord("words", "encoder", "test", 1, folder=str(tmp_path)))
    tickets.workspace.models.put(ModelRecord("bare", "encoder", "test", 1, folder=str(tmp_path / "none")))
    done(tickets, "stats tickets")
    found = done(tickets, "stats tickets --tokens words")
    counts = [len(text.split()) for text in ROWS["text"]]
    tokens = next(item for item in found["columns"] if item["name"] == "text")["tokens"]
    assert (tokens["rows"], tokens["of"], tokens["min"], tokens["max"], tokens["total"]) == (COUNT, COUNT, min(counts), max(counts), sum(counts))
    assert tokens["quantiles"]["0.5"] == np.quantile(counts, 0.5) and sum(tokens["histogram"]["counts"]) == COUNT
    assert "over all rows" in say(tickets, "stats tickets --tokens words").body and "tokens" not in say(tickets, "stats tickets").body
    with pytest.raises(ModelError, match="no tokenizer"):
        say(tickets, "stats tickets --tokens bare")


@pytest.mark.parametrize("values", [[5], [0.0, 0.0], [-1e300, 1e300], [1e-9, 2e-9], [2**53, 2**53 + 1], [-3, 17, 400], [0.1, 0.2, 0.3]])
def test_edges_hold_every_value(values: list[float]) -> None:
    edges = stats._edges({"min": min(values), "max": max(values)}, "number")
    assert edges[0] <= min(values) and max(values) <= edges[-1] and edges == sorted(set(edges)) and len(edges) <= 24


def test_languages() -> None:
    from engine.data.language import languages

    assert (
        languages(["Where is my parcel, and when will it arrive?", "Wo ist mein Paket, und wann kommt es endlich an?", "", " ", "17"])["sample"] == 3
    )
    english = languages(["The quick brown fox jumps over the lazy dog near the river bank."] * 3)
    assert english == {"sample": 3, "languages": [{"language": "en", "count": 3}]}


def test_no_bar_stands_before_the_smallest_value(engine: Engine) -> None:
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(n % 40) for n in range(1000)]
    put(engine, "zero", {"train": {"price": [n / 10 for n in range(1000)], "n": list(range(1000)), "few": [n % 4 for n in range(1000)], "day": days}})
    view = StatsView("zero", data=done(engine, "stats zero"))
    values = [dict(view.bars(number))["Values"] for number in range(4)]
    price, whole, few, day = [[bar.label for bar in bars] for bars in values]
    assert price[:2] == ["0 – 5", "5 – 10"] and whole[0] == "0 – 49" and whole[-1] == "950 – 999" and few == ["0", "1", "2", "3"]
    assert day[:2] == ["2024-01-01 – 2024-01-03", "2024-01-04 – 2024-01-06"] and day[-1].endswith("2024-02-09")
    for bar in (bar for bars in values for bar in bars):
        assert engine.view("zero", "train", bar.where).rows == bar.count, bar
