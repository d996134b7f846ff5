"""The map of a dataset: its rows as points, the clusters or labels beside it, and what to do with a part of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widgets import OptionList, Static

from engine.errors import BitternError
from tui.messages import FillBox, OpenView, RunLine
from tui.screens.ask import AskScreen
from tui.text import clean, one_line
from tui.widgets.dots import SIGNS
from tui.widgets.keyline import KeyLine
from tui.widgets.lists import NamedList
from tui.widgets.plane import COLOURS, DIM, Plane

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.message import Message

    from engine.quality.atlas import Atlas
    from tui.bridge import Bridge

LISTED = 200
"""Labels listed beside the map, the most frequent first."""


class MapScreen(Screen[None]):
    """``name``: the dataset whose last map is shown."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back"),
        Binding("c", "colour", "Clusters/labels"),
        Binding("s", "signs", "Signs"),
        Binding("r", "again", "Draw again", show=False),
        Binding("tab", "app.focus_next", "Switch", show=False),
    ]

    def __init__(self, bridge: Bridge, name: str) -> None:
        super().__init__()
        self._bridge, self._dataset = bridge, name
        self._atlas: Atlas | None = None
        self._stale = False
        self._by_label = False
        self._signs = False
        self._only = -1

    def compose(self) -> ComposeResult:
        yield Static(id="map-title", markup=False)
        with Horizontal(id="map-body"):
            yield Plane()
            with Vertical(id="map-side"):
                yield NamedList(id="legend", empty="No labels.")
                yield Static(id="here", markup=False)
        yield KeyLine()

    def on_mount(self) -> None:
        self._signs = bool(self.app.no_color)
        self.query_one(Plane).focus()
        self.run_worker(self._load(), exit_on_error=False)

    async def _load(self) -> None:
        from engine.commands.data.quality import is_stale, last_map

        engine: Any = self._bridge.engine
        try:
            self._atlas = await self._bridge.call(lambda: last_map(engine.workspace, self._dataset))
            atlas = self._atlas
            self._stale = await self._bridge.call(lambda: is_stale(engine.workspace, atlas))
        except BitternError as error:
            self.query_one("#map-title", Static).update(Content(clean(f"{error.message} {error.hint}")))
            return
        self._draw()

    def _kinds(self, atlas: Atlas) -> tuple[Any, list[str]]:
        """The category of each point, and the names of the categories."""
        return (atlas.label, atlas.labels) if self._by_label else (atlas.cluster, atlas.names)

    def _draw(self) -> None:
        """The points and the legend by what is asked for now."""
        import numpy as np

        atlas = self._atlas
        if atlas is None:
            return
        category, names = self._kinds(atlas)
        shown = f"{len(atlas):,} rows" if len(atlas) == atlas.rows else f"{len(atlas):,} of {atlas.rows:,} rows"
        kind = "labels" if self._by_label else "clusters"
        told = f"  {shown} by {atlas.by} ({atlas.method}), coloured by {len(names)} {kind}"
        stale = "  The data changed since: press r to draw it again." if self._stale else ""
        self.query_one("#map-title", Static).update(Content.assemble((one_line(f" {atlas.dataset}", 40), "bold $accent"), told, (stale, "$warning")))
        sizes = np.bincount(category[category >= 0], minlength=len(names))
        order = np.argsort(-sizes, kind="stable")[:LISTED].tolist()
        self.query_one("#legend", NamedList).show([(str(number), self._legend(number, names[number], int(sizes[number]))) for number in order])
        self.query_one(Plane).show(atlas.x, atlas.y, category, signs=self._signs, only=self._only)

    def _legend(self, number: int, name: str, size: int) -> Content:
        colour = COLOURS[number % len(COLOURS)] if self._only in (-1, number) else DIM
        sign = SIGNS[number % len(SIGNS)] if self._signs else "●"
        return Content.assemble((f"{sign} ", colour), (f"{size:>6,} ", "$text-muted"), one_line(name, 60))

    # -- what is under the cursor ------------------------------------------------------------------------------

    def on_plane_moved(self, event: Plane.Moved) -> None:
        event.stop()
        self.run_worker(self._tell(event.point), group="here", exclusive=True, exit_on_error=False)

    async def _tell(self, point: int) -> None:
        """The text of the row nearest to the cursor."""
        atlas, engine = self._atlas, self._bridge.engine
        if atlas is None or engine is None:
            return
        split, row = atlas.splits[atlas.split[point]], int(atlas.row[point])
        try:
            rows = await self._bridge.call(lambda: engine.window(atlas.dataset, split, row, 1))
        except BitternError as error:
            rows = [{"": error.message}]
        values = rows[0] if rows else {}
        label = atlas.labels[atlas.label[point]] if atlas.label[point] >= 0 else ""
        parts: list[Content | str | tuple[str, str]] = [(f"{one_line(split, 20)}/{row}", "bold $accent")]
        parts += [("\n" + one_line(label, 60), "$secondary")] if label else []
        parts += [("\n" + one_line(atlas.names[atlas.cluster[point]], 60), "$text-muted"), "\n\n"]
        parts += [clean("\n".join(str(value)[:1500] for value in values.values() if str(value) != label))]
        if count := len(self.query_one(Plane).points()):
            parts = [(f"{count:,} rows in the box: Enter\n\n", "bold $warning"), *parts]
        self.query_one("#here", Static).update(Content.assemble(*parts))

    # -- what to do --------------------------------------------------------------------------------------------

    @on(Plane.Chosen)
    def choose(self, event: Plane.Chosen) -> None:
        import numpy as np

        event.stop()
        points = event.points
        if not len(points) and self._only >= 0 and self._atlas:
            points = np.flatnonzero(self._kinds(self._atlas)[0] == self._only)
        if self._stale:
            self.notify(
                "The data changed after this map, so these may be other rows now. Press r to draw it again.", severity="warning", markup=False
            )
        elif len(points):
            self._ask(points)
        elif self.query_one(Plane).box is not None:
            self.notify("No row lies in the box: stretch it over some, or press Esc and begin another.", markup=False)
        else:
            self.notify("Press space, stretch a box with the arrows, then Enter. Or choose a line of the list.", markup=False)

    @on(OptionList.OptionSelected, "#legend")
    def isolate(self, event: OptionList.OptionSelected) -> None:
        """Only this category in its colour, and all again; the map's Enter then means its rows."""
        event.stop()
        if event.option.id:
            number = int(event.option.id)
            self._only = -1 if self._only == number else number
            self._draw()
            self.query_one(Plane).focus()

    def _ask(self, points: Any) -> None:
        from engine.commands.data.quality import points_by_split

        atlas = self._atlas
        if atlas is None:
            return
        by_split = points_by_split(atlas, points)
        answers = [(f"open {split}", f"Open as a table: the rows of {split}") for split in by_split]
        answers += [
            ("part", f"Keep them as a dataset beside it: {atlas.dataset}-part"),
            ("without", "Filter line: the dataset without them"),
            ("back", "Back"),
        ]
        title = f"{len(points):,} rows"

        def finished(answer: str | None) -> None:
            self._act(answer or "back", by_split)

        self.app.push_screen(AskScreen(title, "What to do with them? Nothing is changed before you send a line.", answers), finished)

    def _act(self, answer: str, by_split: dict[str, str]) -> None:
        from engine.commands.data.quality import everywhere, filter_line

        if answer.startswith("open "):
            split = answer.removeprefix("open ")
            self._leave(OpenView(self._dataset, split, by_split[split]))
        elif answer == "part":
            self._leave(FillBox(f'/filter {self._dataset} "{everywhere(by_split)}" --as {self._dataset}-part'))
        elif answer == "without":
            self._leave(FillBox("/" + filter_line(self._dataset, everywhere(by_split))))

    def _leave(self, message: Message) -> None:
        """Back to the main screen, which does what is asked."""
        self.app.pop_screen()
        self.app.post_message(message)

    def action_back(self) -> None:
        """Let the box go, then the one category, then the map."""
        if self.query_one(Plane).back():
            return
        if self._only >= 0:
            self._only = -1
            self._draw()
        else:
            self.app.pop_screen()

    def action_colour(self) -> None:
        if self._atlas is None:
            return
        if not self._atlas.labels:
            self.notify("This dataset has no labels to colour by.", markup=False)
            return
        self._by_label, self._only = not self._by_label, -1
        self._draw()

    def action_signs(self) -> None:
        """Letters instead of coloured dots, and back."""
        self._signs = not self._signs
        self._draw()

    def action_again(self) -> None:
        method = self._atlas.method if self._atlas else "pca"
        self._leave(RunLine(f"atlas {self._dataset}" + (f" --method {method}" if method != "pca" else ""), quiet=True))
