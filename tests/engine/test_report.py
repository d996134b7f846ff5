"""Reports: every figure is the stored one, hostile text stays text, and the file needs nothing else."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest

from engine.errors import DataError, NotFound
from engine.evaluation.chart import Chart, charts, svg
from engine.evaluation.figures import figure, single, words
from engine.evaluation.report import Report, Section
from engine.evaluation.written import html, markdown
from engine.events import JobMetric
from engine.jobs.journal import Journal
from engine.jobs.surroundings import surroundings
from engine.paths import write_json
from engine.store.models import ModelRecord
from tests.fakes.runs import labelled, run, three_runs
from tests.fakes.tables import say

if TYPE_CHECKING:
    from pathlib import Path

    from engine.engine import Engine

HOSTILE = (
    "<script>alert(1)</script> & <img src=x onerror=a> \x1b[31m\u202egnp.exe | [click](javascript:alert(1)) `x` ![i](http://e.vil/i.png)\n# head"
)
VOID = {"meta", "br", "img", "line", "polyline", "circle"}


class Strict(HTMLParser):
    """Fails on a tag that is closed out of turn; keeps the elements, their attributes and the texts of cells."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[list[list[str]]] = []
        self.values: list[float] = []
        self.feed(text)
        self.close()
        assert self.open == [], self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        elif tag == "data":
            self.values.append(float(str(dict(attrs)["value"])))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += data


@pytest.fixture
def trained(engine: Engine) -> Engine:
    """``tuned`` was trained from ``a`` by a job that left curves, and measured on the same rows; one row is hostile."""
    three_runs(engine)
    command = {"base": "a", "on": "tickets", "recipe": "classify", "name": "tuned", "learning_rate": 0.001, "split": "train", "seed": 5}
    job = engine.workspace.jobs.add("train", command, "train a on tickets", "compute")
    engine.workspace.jobs.finish(job.id, "done", "tuned: held-out loss 2.0 → 1.0")
    journal = Journal(engine.workspace.paths.job(job.id), job.id)
    for step in (1, 2, 2, 3):
        journal.write(JobMetric(step=step, name="loss", value=3.0 / step))
        journal.write(JobMetric(step=step, name="learning_rate", value=0.001))
    journal.close()
    model = ModelRecord("a", "classifier", "https://me:secret@example.org/a", 1, revision="abc123")
    engine.workspace.models.put(model)
    facts = {"job": job.id, "trained_on": "tickets/train", "fingerprint": "f1", "seed": 5}
    engine.workspace.models.put(replace(model, name="tuned", base="a", source="trained from a", facts=facts, revision=""))
    rows = labelled([at != 59 for at in range(60)])
    rows[59]["prompt"] = rows[59]["prediction"] = HOSTILE
    metrics = {"accuracy": 59 / 60, "macro_f1": 0.98123456, "intervals": {"accuracy": [0.95, 1.0]}}
    confusion = {"labels": ["late", HOSTILE], "matrix": [[30, 0], [1, 29]]}
    run(engine, "tuned", rows, metrics={**metrics, "confusion": confusion})
    return engine


def test_the_page_parses_and_every_figure_is_the_stored_one(trained: Engine, tmp_path: Path) -> None:
    file = tmp_path / "r.html"
    result = say(trained, f"report tuned --to {file}")
    text = file.read_text("utf-8")
    page = Strict(text)
    stored = trained.workspace.runs.get("4").metrics
    [figures] = [table for table in page.tables if table[0] == ["figure", "value", "95 % interval"]]
    assert figures[1:] == [["accuracy", "0.983", "0.950 to 1.000"], ["macro F1", "0.981", ""]]
    assert page.values[:2] == [stored["accuracy"], stored["macro_f1"]], "to the last digit"
    [verdict] = [table for table in page.tables if table[0][-1] == "verdict"]
    compared = say(trained, "compare 1 4").data["metrics"]["accuracy"]
    assert verdict[1] == [
        "accuracy",
        "0.500",
        "0.983",
        "+0.483",
        f"+{compared['low']:.3f} to +{compared['high']:.3f}",
        f"{compared['p']:.3g}",
        "better",
    ]
    [flips] = [table for table in page.tables if "right answer" in table[0] and table[0][0] == ""]
    assert len(flips) == 21 and {row[0] for row in flips[1:]} == {"became right", "became wrong"}
    assert result.data["run"] == "4" and {"Figures", "Verdict", "Flips", "Worst rows", "Curves", "Dataset tickets"} <= set(result.data["sections"])
    for told in ("abc123", "train a --on tickets", "f1", "learning rate"):
        assert told in text
    assert "secret" not in text
    assert "tuned is a classifier made from a, trained on tickets/train." in text
    assert "Against a on the same 60 rows: better in accuracy" in text, "the verdict stands at the beginning"
    [settings] = [table for table in page.tables if table[0] == ["setting", "value"]]
    told = {row[0]: row[1] for row in settings[1:]}
    assert (told["learning rate"], told["base"]) == ("0.001", "a")
    assert told["batch size"] == "32" and "beta" not in told, "what the recipe filled in is told, and what has no say is not"


def test_what_rows_say_stays_text(trained: Engine, tmp_path: Path) -> None:
    say(trained, f"report run:4 --to {tmp_path / 'r.html'}")
    text = (tmp_path / "r.html").read_text("utf-8")
    page = Strict(text)
    assert {tag for tag, _ in page.tags} & {"script", "img", "a", "iframe", "link", "object"} == set()
    assert not any(name.startswith("on") or name in ("href", "src") for _, attributes in page.tags for name in attributes)
    assert ("meta", {"http-equiv": "Content-Security-Policy", "content": "default-src 'none'; style-src 'unsafe-inline'"}) in page.tags
    assert "\x1b" not in text and "\u202e" not in text
    assert any("<script>alert(1)</script>" in cell for table in page.tables for row in table for cell in row), "it can be read, as text"

    say(trained, f"report run:4 --to {tmp_path / 'r.md'}")
    told = (tmp_path / "r.md").read_text("utf-8")
    assert "\\<script\\>alert" in told and not re.search(r"(?<!\\)<", told) and "\x1b" not in told
    assert re.findall(r"(?<!\\)!\[[^\]]*\]\(([^)]{,20})", told) == ["data:image/svg+xml;b"] * 2, "no picture but our own curves"
    for line in told.splitlines():
        if line.startswith("| accuracy |"):
            assert "| 0.983 |" in line
    tables = [block.splitlines() for block in told.split("\n\n") if block.startswith("|")]
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1, "no cell breaks out of its table"


@pytest.mark.parametrize(
    "text", ["http://e.vil", "www.e-vil.org", "1. one", "12) two", "- item", "***", "===", "a|b", "[a](b)", "<b>", "&lt;", "![a](b)", "mailto:a@b.cd"]
)
def test_no_text_means_anything_in_markdown(text: str) -> None:
    from markdown_it import MarkdownIt

    [written] = re.findall(r"(?s)# T\n\n(.*)\n\nWritten", markdown(Report("T", [text], [])))
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(written)
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    children = tokens[1].children or []
    assert {token.type for token in children} <= {"text", "text_special"} and "".join(token.content for token in children) == text
    assert "http://" not in written and "www.e" not in written and "mailto:a" not in written


def test_markdown_has_the_stored_figures_and_curves_that_can_be_drawn(trained: Engine, tmp_path: Path) -> None:
    say(trained, f"report 4 --to {tmp_path / 'r.md'}")
    told = (tmp_path / "r.md").read_text("utf-8").replace("\\", "")
    for name, value in single(trained.workspace.runs.get("4").metrics).items():
        assert f"| {words(name)} | {figure(name, value)} |" in told
    for picture in re.findall(r"base64,([A-Za-z0-9+/=]+)", told):
        ElementTree.fromstring(base64.b64decode(picture))
    assert "training loss 1 at step 3" in told


def test_curves_keep_each_step_once_and_one_point_is_drawn_too(trained: Engine) -> None:
    [loss, rate] = charts(trained.workspace.paths.job("1") / "events.jsonl")
    assert loss.curves == {"training loss": [(1, 3.0), (2, 1.5), (3, 1.0)]} and rate.title == "Learning rate"
    drawn = ElementTree.fromstring(svg(loss))
    line = next(item for item in drawn if item.tag.endswith("polyline"))
    heights = [float(point.split(",")[1]) for point in str(line.get("points")).split()]
    assert heights == sorted(heights) and len(heights) == 3, "a falling loss goes down the picture"
    ElementTree.fromstring(svg(Chart("Loss", {"loss": [(1, 2.0)]})))
    named = [item.text for item in ElementTree.fromstring(svg(Chart("Loss", {"loss": [(0, 2.0), (42, 1.0)]}))) if item.get("text-anchor") == "middle"]
    assert named == ["0", "10", "21", "32", "42"], "a step is a whole number"


def test_a_training_without_a_run_and_a_run_without_a_model_have_reports(trained: Engine, tmp_path: Path) -> None:
    say(trained, f"report job:1 --to {tmp_path / 'job.html'}")
    page = (tmp_path / "job.html").read_text("utf-8")
    assert "held-out loss 2.0 → 1.0" in page and "The versions and the machine were not written down." in page
    result = say(trained, f"report b --to {tmp_path / 'b.md'}")
    assert result.data["run"] == "2" and "Verdict" not in result.data["sections"]


def test_what_cannot_be_reported_is_said(trained: Engine, tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("mine")
    for line, error, match in (
        (f"report 4 --to {tmp_path / 'r.pdf'}", DataError, "what to write"),
        (f"report 4 --to {tmp_path / 'there.md'}", DataError, "there already"),
        (f"report tund --to {tmp_path / 'r.md'}", NotFound, "tund"),
        (f"report a --to {tmp_path / 'none' / 'r.md'}", DataError, "no folder"),
    ):
        with pytest.raises(error, match=match):
            say(trained, line)
    assert (tmp_path / "there.md").read_text() == "mine"


def test_a_job_writes_down_what_it_is_made_with(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("text,label\na,b\n")
    job = say(engine, f"add {file}").data["job"]
    made: dict[str, Any] = json.loads((engine.workspace.paths.job(job) / "job.json").read_text("utf-8"))["made_with"]
    assert made["libraries"]["transformers"] and made["machine"]["cores"] >= 1


def test_the_versions_and_the_machine_are_told(trained: Engine, tmp_path: Path) -> None:
    write_json(trained.workspace.paths.job("1") / "job.json", {"id": "1", "made_with": surroundings()})
    say(trained, f"report job:1 --to {tmp_path / 'job.html'}")
    told = {row[0]: row[1] for table in Strict((tmp_path / "job.html").read_text("utf-8")).tables for row in table if len(row) == 2}
    assert told["transformers"] == surroundings()["libraries"]["transformers"] and "GiB of memory" in told["machine"]


def test_a_report_of_nothing_but_hostile_headings_is_whole() -> None:
    report = Report(HOSTILE, [HOSTILE], [Section(HOSTILE, [HOSTILE], [HOSTILE], [[HOSTILE]])])
    Strict(html(report))
    assert len(re.findall(r"(?m)^#", markdown(report))) == 2


def test_a_base_that_answers_nothing_is_no_missing_run(trained: Engine, tmp_path: Path) -> None:
    trained.workspace.models.put(ModelRecord("bare", "encoder", "here", 1))
    trained.workspace.models.put(replace(trained.workspace.models.get("tuned"), base="bare"))
    say(trained, f"report tuned --to {tmp_path / 'r.html'}")
    page = (tmp_path / "r.html").read_text("utf-8")
    assert "is of the kind encoder: it can&#x27;t answer such rows" in page and "--with base" not in page
