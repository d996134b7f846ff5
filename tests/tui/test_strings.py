"""The Big List of Naughty Strings, and worse, in every widget: what reaches the terminal is text, and as wide as it says."""

from __future__ import annotations

import json
import re
from itertools import zip_longest
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from textual.app import App
from textual.geometry import Region
from textual.widgets._toast import Toast

from engine import events
from engine.errors import BitternError
from engine.store.datasets import DatasetRecord
from engine.store.models import ModelRecord
from tests.tui.screens import StillApp
from tui.panels.datasets import DatasetsPanel
from tui.panels.jobs import JobDetail
from tui.panels.models import ModelDetail, ModelsPanel
from tui.panels.rows import DatasetDetail
from tui.screens.ask import AskScreen
from tui.screens.edit import EditScreen
from tui.screens.help import HelpScreen
from tui.screens.train_form import TrainForm
from tui.state.message import Message
from tui.widgets.chatbox import ChatBox, Completions
from tui.widgets.detail import RowView
from tui.widgets.entries import Citations, ErrorEntry, NoteEntry
from tui.widgets.media import MediaView, facts
from tui.widgets.prompt import Prompt
from tui.widgets.rows import RowsTable
from tui.widgets.schema import Schema
from tui.widgets.spoken import AnswerEntry, UserEntry
from tui.widgets.topbar import TopBar
from tui.widgets.values import JsonTree

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from textual.strip import Strip
    from textual.widget import Widget

WORSE = [
    "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "\x1b]52;c;YQ==\x07", "\x9b2J", "\x1bc", "\x1b[?1049h", "\x1bP0;1|x\x1b\\",
    "a\rb", "a\x08\x08b", "\x00", "\x7f", "tab\ttab", "line\u2028line\u2029", "\u202eright\u202c", "\u2066x\u2069", "\ud800", "\ufeffbom", "soft\xadhyphen",
    "[bold]", "[/bold]", "[/]", "[@click=app.quit]x[/]", "[link=http://x]x", "](http://x)", "```\n# no", "<script>", "{{x}}", "\\", "%s", "$text", "田" * 90, "🇺🇸" * 40,
    "👩‍👩‍👧‍👦" * 20, "e" + "\u0301" * 300, "\u200b" * 300, "\u0627\u0644\u0639" * 40, "x" * 5000, " " * 300, "\n" * 50,
]  # fmt: skip
DIRECTION = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
ACTS = re.compile(f"[\x00-\x1f\x7f-\x9f\ud800-\udfff{DIRECTION}]")
"""The categories Cc and Cs, and what turns the direction: screens of half a million cells are looked through."""
TALL = (100, 1200)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def strings(data: Path) -> list[str]:
    naughty = json.loads((data / "bad-strings" / "blns.json").read_text("utf-8"))
    return list(dict.fromkeys([*map(str, naughty), *WORSE]))


def harmless(text: str, *, lines: bool = False) -> None:
    found = {match.group() for match in ACTS.finditer(text)} - (set("\n\t") if lines else set())
    assert not found, ascii(text)


def fits(strips: Iterable[Strip], width: int) -> int:
    """Every line is exactly ``width`` cells of harmless text; returns how many have any text."""
    filled = 0
    for strip in strips:
        text = "".join(segment.text for segment in strip if not segment.control)
        assert not [segment for segment in strip if segment.control]
        harmless(text)
        assert sum(segment.cell_length for segment in strip) == width, ascii(text)
        filled += bool(text.strip())
    return filled


def screen_fits(app: App[Any]) -> int:
    """The whole picture, as the terminal gets it."""
    return fits(app.screen._compositor.render_strips(), app.size.width)


def widget_fits(widget: Widget, lines: int = 1) -> None:
    """The first lines of a widget, its border among them."""
    width = widget.outer_size.width
    fits(widget.render_lines(Region(0, 0, width, lines)), width)


class Page(App[None]):
    CSS = "* { max-height: 10000; } Screen > * { height: auto; }"

    def __init__(self, *parts: Widget) -> None:
        super().__init__()
        self._parts = parts

    def compose(self) -> Any:
        yield from self._parts


async def test_lists_titles_and_the_bar(strings: list[str]) -> None:
    async with StillApp().run_test(size=TALL) as pilot:
        app: Any = pilot.app
        await app.settle(pilot)
        app.stock()
        detail, model, bar, box = (app.main.query_one(kind) for kind in (DatasetDetail, ModelDetail, TopBar, ChatBox))
        records = [DatasetRecord(text, text, "", str(n), {text: 1}, {text: text}, text, {text: text}, 1, text) for n, text in enumerate(strings)]
        models = [ModelRecord(text, "chat", text, 1, facts={text: text}) for text in strings]
        app.catalog.load(records, models, strings[0], strings[0], strings[0])
        for number, text in enumerate(strings):
            app.jobs.apply(events.JobQueued(job=str(number), title=text, verb="add"))
        for kind, place in (("datasets", DatasetsPanel), ("models", ModelsPanel)):
            app.main.query_one(place).draw(app.catalog)
            app.action_go(kind)
            await pilot.pause(0.1)
            assert screen_fits(app) >= len(strings)
        await app.draw_jobs(set())
        app.action_go("jobs")
        await pilot.pause(0.1)
        assert screen_fits(app) >= len(strings)
        app._open("dataset", app.parts.dataset)
        await pilot.pause(0.05)
        for record, text in zip(app.catalog.datasets, strings, strict=True):
            app.catalog.dataset = app.catalog.model = text
            app.draw_mode()
            widget_fits(box)
            detail.dataset = record
            detail._draw_facts()
            widget_fits(detail.parent)
            harmless(str(detail.query_one("#dataset-facts").render()), lines=True)
            app.jobs.jobs["0"].title, app.jobs.jobs["0"].state = text, "running"
            bar.show_jobs(app.jobs)
            widget_fits(bar)
        app._open("model", app.parts.model)
        for view in app.catalog.models:
            model.draw(view, used=True)
            harmless(str(model.query_one("#model-facts").render()), lines=True)
            widget_fits(detail.parent)


async def test_a_job_and_its_log(strings: list[str]) -> None:
    async with StillApp().run_test(size=TALL) as pilot:
        app: Any = pilot.app
        await app.settle(pilot)
        app.jobs.apply(events.JobQueued(job="1", title="\n".join(strings), verb="add"))
        for number, text in enumerate(strings):
            app.jobs.apply(events.JobLog(job="1", seq=number + 2, text=text))
        app.jobs.jobs["1"].summary = " ".join(strings)
        app.jobs.jobs["1"].error = {"message": strings[0], "hint": "".join(strings)}
        app._open("job", app.parts.job)
        await app.main.query_one(JobDetail).draw(app.jobs.jobs["1"])
        await pilot.pause(0.1)
        assert screen_fits(app) > 300


async def test_the_table_and_the_columns(strings: list[str]) -> None:
    names = [text for text in strings if text.strip()]
    table, schema = RowsTable(), Schema()
    app = Page(table, schema)
    async with app.run_test(size=TALL) as pilot:
        table.show([{"a": text, "b": [text, {text: text}]} for text in names], 0, len(names), 0, 100)
        schema.draw(SimpleNamespace(columns={text: text for text in names}, features=dict.fromkeys(names, "string")), frozenset(names[::3]))  # type: ignore[arg-type]
        await pilot.pause(0.1)
        assert screen_fits(app) >= 2 * len(names)
        table.show([dict.fromkeys(names, "x")], 0, 1, 0, 100, names=names, sort=[(name, True) for name in names])
        while table.column != names[-1]:
            for _ in range(40):
                table.action_cursor_right()
            await pilot.pause(0.01)
            widget_fits(table, 2)


async def test_a_row_in_full(strings: list[str]) -> None:
    talk = [{"role": text or "x", "content": text, "more": [text]} for text in strings[::7]]
    values = dict(zip(strings[::2], strings[1::2], strict=False))
    for row in (values, {"talk": talk, "spelled": json.dumps(talk)}):
        view = RowView()
        app = Page(view)
        async with app.run_test(size=(100, 2400)) as pilot:
            await view.show(row, "\n".join(strings[:3]), "")
            await pilot.pause(0.3)
            while not view._ended:
                view.scroll_end(animate=False)
                await pilot.pause(0.1)
                screen_fits(app)
            assert screen_fits(app) > len(row)


async def test_trees_prompts_and_media(strings: list[str]) -> None:
    trees = [JsonTree({text: {text: [text]} for text in strings[start : start + 150]}) for start in range(0, len(strings), 150)]
    prompt = Prompt()
    media = [MediaView(SimpleNamespace(column="c", name=text, length=1, why=text, hint=text)) for text in strings[::5]]
    app = Page(prompt, *trees, *media)
    async with app.run_test(size=(100, 2600)) as pilot:
        for tree in trees:
            tree.root.expand_all()
        prompt.ask("edit", "".join(strings[:40]), "", hint="\n".join(strings))
        await pilot.pause(0.2)
        assert screen_fits(app) > len(strings)
        prompt.wrong(BitternError("\n".join(strings), " ".join(strings), line=strings[-3], start=1, end=3))
        await pilot.pause(0.1)
        screen_fits(app)
        told, label, line = (prompt.query_one(name) for name in ("#prompt-told", "#prompt-label", "#prompt-line"))
        for text in strings:
            prompt.ask("edit", text, text, hint=text)
            for part in (told, label):
                harmless(str(part.render()), lines=True)
            fits(line.render_lines(Region(0, 0, line.outer_size.width, 1)), line.outer_size.width)
            harmless(facts(SimpleNamespace(name=text, length=1, format=text, size=(1, 1), pixels=b"")))


async def test_the_conversation(strings: list[str]) -> None:
    everything = "\n".join(strings)
    passages = [{"n": n, "address": text, "text": text, "quote": text} for n, text in enumerate(strings)]
    answer = AnswerEntry(Message(0, "answer", everything, model=strings[0], passages=passages, usage={"rate": 1.0}))
    notes = [
        NoteEntry(
            Message(n, "note", everything[:2000], result={"table": {"columns": strings[n : n + 2], "rows": [[t, t] for t in strings[n : n + 40]]}})
        )
        for n in range(0, len(strings), 40)
    ]
    errors = [ErrorEntry(Message(1, "error", t, error={"title": t, "message": t, "hint": t, "line": t, "start": 1, "end": 2})) for t in WORSE]
    errors.append(ErrorEntry(Message(1, "error", "", error={"title": everything, "message": everything, "hint": everything, "line": everything})))
    body = NoteEntry(Message(2, "note", "x", result={"body": "\n".join(WORSE)}))
    app = Page(UserEntry(Message(3, "user", everything)), Citations(passages, everything), *notes, body, answer)
    async with app.run_test(size=(100, 4000)) as pilot:
        await answer.follow()
        await pilot.pause(0.5)
        assert screen_fits(app) > 2 * len(strings)
    app = Page(*errors)
    async with app.run_test(size=(100, 3000)) as pilot:
        await pilot.pause(0.2)
        assert screen_fits(app) > 2 * len(strings)


async def test_completions_and_notifications(strings: list[str]) -> None:
    completions = Completions()
    app = Page(completions)
    async with app.run_test(size=(100, 1400)) as pilot:
        completions.show([(text, text) for text in strings])
        await pilot.pause(0.1)
        assert screen_fits(app) >= len(strings) // 2
    app = Page()
    async with app.run_test(size=(100, 3000), notifications=True) as pilot:
        # Each of them once, as a title or as a text: all of them as both would take ten seconds.
        texts = [*strings, *WORSE]
        for title, text in zip_longest(texts[::2], texts[1::2], fillvalue=""):
            app.notify(text_for(text), title=text_for(title), markup=False, timeout=60)
        await pilot.pause(0.5)
        assert len(app.screen.query(Toast)) >= len(texts) // 2
        screen_fits(app)


def text_for(text: str) -> str:
    """As the app says it in passing."""
    from tui.text import one_line

    return one_line(text, 200)


async def test_dialogs_forms_and_help(strings: list[str]) -> None:
    from engine.commands.describe import fields
    from engine.commands.registry import command

    everything = "\n".join(strings)
    names = [text for text in strings if text.strip()]
    train = command("train")
    form = TrainForm(train, fields(train), {"datasets": names, "models": names[:40]}, {"base": names[0], "on": names[3]})
    app = Page()
    async with app.run_test(size=(120, 1300)) as pilot:
        for screen in (
            HelpScreen([(text, text) for text in strings]),
            AskScreen(everything, everything, [(str(n), text) for n, text in enumerate(strings)]),
            EditScreen(everything, everything),
            form,
        ):
            app.push_screen(screen)
            await pilot.pause(0.2)
            screen_fits(app)
            if isinstance(screen, HelpScreen):
                assert screen_fits(app) >= len(strings)
            app.pop_screen()
            await pilot.pause(0.05)
