"""Which tokens of a dataset's rows carry loss: coloured, a row at a time, with what is cut and what is only read."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from engine.events import JobProgress
from tui.text import clean, one_line
from tui.widgets.keyline import KeyLine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

    from engine.events import Event
    from tui.bridge import Bridge

PACE = 0.15
"""Seconds between two looks at the job that reads the rows."""
STYLES = {"loss": "underline $success on $success 20%", "read": "", "cut": "$text-muted strike"}
SHOWN = 4000
"""Tokens of a row that are drawn."""


class MaskScreen(ModalScreen[None]):
    """``name`` is the number of a ``mask`` job, done or on its way."""

    CSS = """
    MaskScreen { align: left top; background: $background; }
    #mask-head { height: auto; background: $panel; padding: 0 1; }
    #mask-body { height: 1fr; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "Back"),
        Binding("right,n", "turn(1)", "Next row"),
        Binding("left,p", "turn(-1)", "Row before"),
    ]

    def __init__(self, bridge: Bridge, name: str) -> None:
        super().__init__()
        self._bridge, self._job, self._at = bridge, name, 0
        self.found: dict[str, Any] = {}
        """The job's answer, as ``mask --json`` tells it."""

    def compose(self) -> ComposeResult:
        yield Static("Reading rows as tokens…", id="mask-head", markup=False)
        with VerticalScroll(id="mask-body"):
            yield Static(id="mask-row", markup=False)
        yield KeyLine()

    def on_mount(self) -> None:
        self.query_one("#mask-body").focus()
        self.run_worker(self._read(), exit_on_error=False)

    async def _read(self) -> None:
        """Wait for the job, and draw what it answered."""
        engine = self._bridge.engine
        if engine is None:
            return
        while (record := await self._bridge.call(lambda: engine.job(self._job))).state in ("queued", "running"):
            said = await self._bridge.call(lambda: waited_for(engine.events_of(self._job)))
            self.query_one("#mask-head", Static).update(clean(said if record.state == "running" else f"Job {record.id} waits for its turn…"))
            await asyncio.sleep(PACE)
        if record.state != "done":
            said = f"{record.error.get('message', f'Job {record.id} is {record.state}.')} {record.error.get('hint', '')}"
            self.query_one("#mask-head", Static).update(Content.styled(clean(said.strip()), "$error"))
            return
        answer = await self._bridge.call(lambda: engine.result(self._job))
        self.found = answer.data
        self.query_one("#mask-head", Static).update(self._head(answer.summary))
        self._draw()

    def action_turn(self, by: int) -> None:
        rows = self.found.get("rows", [])
        self._at = max(0, min(self._at + by, len(rows) - 1))
        self._draw()

    def _head(self, summary: str) -> Content:
        name = f"{self.found['dataset']}/{self.found['split']} for {self.found['model']}"
        parts: list[Content | tuple[str, str] | str] = [(one_line(name, 70), "bold"), "\n", clean(summary), "\n"]
        parts += [("carries loss", STYLES["loss"]), "  only read  ", ("special", "bold $warning"), "  ", ("cut off", STYLES["cut"])]
        return Content.assemble(*parts)

    def _draw(self) -> None:
        rows = self.found.get("rows", [])
        if not rows:
            self.query_one("#mask-row", Static).update("No row has an answer.")
            return
        self.query_one("#mask-row", Static).update(drawn(rows[self._at], self._at, len(rows)))
        self.query_one("#mask-body").scroll_home(animate=False)


def waited_for(told: Sequence[Event]) -> str:
    """What a job that is on its way is doing: a chat model out of a GGUF is converted first, once, which takes a while."""
    last = next((event for event in reversed(told) if isinstance(event, JobProgress)), None)
    if last is None or not last.note:
        return "Reading rows as tokens…"
    return f"{last.note}: {last.done:,g} of {last.total:,g} {last.unit}" if last.total else f"{last.note}…"


def drawn(row: dict[str, Any], at: int, count: int) -> Content:
    """A row's tokens in their colours, below what is counted of it."""
    stop = ("stop token trained", "$success") if row["stop_trained"] else ("STOP TOKEN NOT TRAINED", "bold $error")
    parts: list[Content | tuple[str, str] | str] = [
        (f"Row {row['row']}", "bold"), f"  ({at + 1} of {count} shown)   {len(row['tokens']):,} tokens, {row['loss']:,} carry loss   ", stop, "\n\n",
    ]  # fmt: skip
    for token in row["tokens"][:SHOWN]:
        style = STYLES[token["part"]]
        if token["special"]:
            style = f"bold $warning{style[style.index(' on ') :] if ' on ' in style else ''}"
        parts.append((clean(token["text"]).replace("\n", "↵\n"), style))
    if len(row["tokens"]) > SHOWN:
        parts.append(f"\n… and {len(row['tokens']) - SHOWN:,} tokens more")
    return Content.assemble(*parts)
