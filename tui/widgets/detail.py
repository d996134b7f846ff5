"""One row in full: every column under its name, drawn as far as it is scrolled to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tui.state.look import turns
from tui.text import clean, one_line
from tui.widgets.rows import marked
from tui.widgets.values import JsonTree, Piece, parsed, pieces_of, pieces_of_turns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from textual.widget import Widget

AT_ONCE = 8000
"""Characters, or as much work, drawn before the screen is looked at again."""


class RowView(VerticalScroll):
    """Scroll past what is drawn and the rest follows."""

    def __init__(self) -> None:
        super().__init__(id="row")
        self._waiting: Iterator[Piece] = iter(())
        self._ended = True
        self._drawing = False
        self._number = 0

    async def show(self, row: dict[str, Any], passage: str = "", answer: str = "", media: Sequence[str] = ()) -> None:
        """Draw a row from its top, or from what an answer took from it. The columns named in ``media`` leave room for
        :meth:`put_media`."""
        self._number += 1
        number = self._number
        await self.remove_children()
        if number != self._number:
            return
        self._waiting, self._ended, self._drawing = _pieces(row, passage, answer, set(media)), False, False
        self.scroll_home(animate=False)
        found = await self._draw(until_marked=bool(passage))
        if found is not None:
            self.call_after_refresh(self.scroll_to_widget, found, animate=False, top=False)

    def put_media(self, shown: Sequence[Any]) -> None:
        """Pictures and sounds, decoded meanwhile, under the names of their columns."""
        from tui.widgets.media import MediaView

        for place in self.query(MediaPlace):
            found = [MediaView(item) for item in shown if item.column == place.column]
            if found:
                place.display = False
                self.mount(*found, after=place)

    async def _draw(self, *, until_marked: bool = False) -> Widget | None:
        """Draw the next pieces; returns the first that holds a mark."""
        room, made, found = AT_ONCE, [], None
        while room > 0 or (until_marked and found is None):
            piece = next(self._waiting, None)
            if piece is None:
                self._ended = True
                break
            widget = piece.make()
            made.append(widget)
            found = found or (widget if piece.marked else None)
            room -= piece.weight
        await self.mount(*made)
        self.call_after_refresh(self._go_on)
        return found

    async def _go_on(self) -> None:
        """Draw more for as long as the end of what is drawn is in sight."""
        if self._ended or self._drawing or self.scroll_y + 2 * self.size.height < self.virtual_size.height:
            return
        self._drawing = True
        try:
            await self._draw()
        finally:
            self._drawing = False

    def watch_scroll_y(self, old: float, new: float) -> None:
        super().watch_scroll_y(old, new)
        if not self._ended:
            self.call_after_refresh(self._go_on)


class MediaPlace(Static):
    """What stands under a column's name until its picture or sound is decoded."""

    def __init__(self, column: str, text: str) -> None:
        super().__init__(Content(text), markup=False, classes="value")
        self.column = column


def _pieces(row: dict[str, Any], passage: str, answer: str, media: set[str]) -> Iterator[Piece]:
    for name, value in row.items():
        yield Piece(lambda name=name, value=value: Static(_heading(name, value), markup=False, classes="field-name"), 40)  # type: ignore[misc]
        if name in media:
            yield Piece(lambda name=name, value=value: MediaPlace(name, one_line(value, 200)))  # type: ignore[misc]
        else:
            yield from _value(value, passage, answer)


def _value(value: Any, passage: str, answer: str) -> Iterator[Piece]:
    if isinstance(value, str):
        inner = parsed(value) if not passage else None
        if inner is None:
            yield from pieces_of(marked(clean(value), clean(passage), clean(answer)))
            return
        value = inner
    if turns(value):
        yield from pieces_of_turns(value)
    elif isinstance(value, (dict, list)) and value:
        yield Piece(lambda: JsonTree(value), 400)
    else:
        said = {True: "true", False: "false", None: "null"}.get(value, value) if value is None or isinstance(value, bool) else value
        style = "italic $text-muted" if value is None or value in ([], {}) else ""
        yield Piece(lambda: Static(Content.styled(clean(said), style), markup=False, classes="value"))


def _heading(name: str, value: Any) -> Content:
    about = ""
    if isinstance(value, str) and len(value) > 400:
        about = f"{len(value):,} characters"
    elif talk := turns(value):
        about = f"{len(talk)} turns" if len(talk) > 1 else "1 turn"
    elif isinstance(value, list):
        about = f"list of {len(value):,}"
    return Content.assemble((one_line(name, 60), "bold $accent"), (f"  {about}" if about else "", "$text-muted"))
