"""The trials of a sweep: parallel coordinates or the best so far, above the trials themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import OptionList, Static

from engine.errors import BitternError
from tui.state.trials import TrialsView, colour, told
from tui.text import clean, one_line
from tui.widgets.keyline import KeyLine
from tui.widgets.lists import NamedList
from tui.widgets.plot import PlotView

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from tui.bridge import Bridge

STATES = {"done": "", "halved": "stopped, behind", "failed": "failed"}


class TrialsScreen(Screen[None]):
    """``name`` is the number of a sweep."""

    CSS = """
    #trials-title { height: auto; max-height: 2; background: $panel; padding: 0 1; }
    #trials-list { height: auto; max-height: 40%; min-height: 4; border: none; background: $background; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "turn", "Axes / best so far"),
        Binding("escape", "dismiss", "Back"),
    ]

    def __init__(self, bridge: Bridge, name: str) -> None:
        super().__init__()
        self._bridge = bridge
        self.view = TrialsView(name)
        self._summary = ""

    def compose(self) -> ComposeResult:
        yield Static(id="trials-title", markup=False)
        yield PlotView(id="trials-plot")
        yield NamedList(id="trials-list", empty="No trial is done yet.")
        yield KeyLine()

    async def on_mount(self) -> None:
        self.query_one(NamedList).focus()
        await self._read()
        self.set_interval(2, self._follow)

    async def _follow(self) -> None:
        if self.view.data.get("state") in ("queued", "running"):
            await self._read()

    async def _read(self) -> None:
        from engine.commands.registry import command

        engine, values = self._bridge.engine, {"job": self.view.job}
        if engine is None:
            return
        try:
            result = await self._bridge.call(lambda: engine.run(command("trials")(**values)))
        except BitternError as error:
            self.notify(clean(str(error)), severity="error", markup=False)
            return
        if result.data != self.view.data:
            self.view.data = result.data
            self._list(result.summary)

    def _list(self, summary: str) -> None:
        view = self.view
        ranked = view.ranked()
        self._summary = one_line(f"{view.data['title']}: {summary}", 200)
        entries = [(str(trial["trial"]), self._entry(rank, trial, len(ranked))) for rank, trial in enumerate(ranked)]
        self.query_one(NamedList).show(entries)
        if ranked and not view.chosen:
            view.chosen = ranked[0]["trial"]
        self.draw()

    def _entry(self, rank: int, trial: dict[str, Any], count: int) -> Content:
        ink = "rgb({},{},{})".format(*colour(rank, count))
        settings = "  ".join(f"{name.replace('_', ' ')} {told(value)}" for name, value in trial["settings"].items())
        loss = "      —" if trial["eval_loss"] is None else f"{trial['eval_loss']:7.4f}"
        return Content.assemble(
            ("◆ " if not rank else "━ ", ink), (f"{trial['trial']:>3} ", "$text-muted"), (loss, "bold"), f"  {one_line(settings, 100)}",
            (f"  {trial['steps']:,} steps  {STATES[trial['state']]}", "$text-muted"),
        )  # fmt: skip

    def draw(self) -> None:
        """The picture for the trial under the cursor."""
        if self.view.data:
            told = self._summary if self.view.across else f"{self._summary} A is each trial, B the best so far."
            self.query_one("#trials-title", Static).update(Content(told))
            self.query_one(PlotView).show(self.view.draw, self.view.inks(), None if self.view.across else self.view.chosen)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        if event.option.id and int(event.option.id) != self.view.chosen:
            self.view.chosen = int(event.option.id)
            self.draw()

    def action_turn(self) -> None:
        self.view.across = not self.view.across
        self.draw()
