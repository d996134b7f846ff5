"""Markdown that grows while it is streamed, at the least cost for each picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textual.geometry import NULL_SPACING, Region, Size
from textual.reactive import Reactive
from textual.strip import Strip
from textual.widgets import Markdown

# Textual is pinned, and its public module leaves the paragraph out.
from textual.widgets._markdown import MarkdownParagraph

from tui.drawing import Grows, MainScreen
from tui.widgets.entries import words_only

if TYPE_CHECKING:
    from collections.abc import Callable

    from markdown_it.token import Token
    from textual.content import Content
    from textual.style import Style


PARAGRAPH = ["paragraph_open", "inline", "paragraph_close"]


def laid_out() -> Reactive[Size]:
    """The ``virtual_size`` of a widget that is not to be laid out and drawn a second time for it, as any other is: it is
    set when all has been laid out."""
    return Reactive(Size(0, 0), repaint=False)


def backdrop(render_lines: Callable[[Region], list[Strip]], crop: Region) -> list[Strip]:
    """The lines of what is seen behind its children alone: they are all the same, so that one is drawn for all."""
    return render_lines(Region(crop.x, 0, crop.width, min(1, crop.height))) * crop.height


@dataclass(frozen=True, slots=True)
class Wrapped:
    """The lines of a paragraph as they are drawn. ``last`` is where in the text the last one begins, ``changed`` the first
    line that was not there before."""

    content: Content
    width: int
    style: Style
    lines: list[Strip]
    last: int
    changed: int

    @classmethod
    def of(cls, widget: GrowingParagraph, content: Content, width: int, before: Wrapped | None) -> Wrapped:
        """``content`` in lines of ``width`` cells: those of ``before`` and, where only words came, what follows its last
        break. A break between words does not depend on what stands before or after its line."""
        style = widget.visual_style
        kept, start = 0, 0
        if before is not None and (before.width, before.style) == (width, style) and before.begins(content):
            kept, start = len(before.lines) - 1, before.last
        lines = (content.divide([start])[-1] if start else content)._wrap_and_format(width, get_style=widget._get_style)
        for line in lines:
            line.x += start
        blank = style.background_style.rich_style
        drawn = [Strip(*line.to_strip(style)).adjust_cell_length(width, blank) for line in lines]
        known = before.lines[:kept] if before is not None else []
        return cls(content, width, style, known + drawn, lines[-1].x if lines else 0, kept)

    def begins(self, content: Content) -> bool:
        """Are all lines but the last as they would be in ``content``, which is one line of text with no tabs?"""
        plain, last = content.plain, self.last
        if (
            not last
            or "\n" in plain + self.content.plain
            or "\t" in plain
            or self.content.plain[last - 1] != " "
            or not plain.startswith(self.content.plain[:last])
        ):
            return False
        return _spans(self.content, last) == _spans(content, last)


def _spans(content: Content, end: int) -> list[tuple[int, int, Any]]:
    return [(span.start, min(span.end, end), span.style) for span in content.spans if span.start < end]


class GrowingParagraph(MarkdownParagraph, Grows):
    """A paragraph whose new words ask for a new layout only where they take another line (a layout arranges all panels),
    and of which only those lines are put together and drawn again that changed."""

    virtual_size = laid_out()
    _wrapped: Wrapped | None = None

    def render(self) -> Content:
        return self._content

    @property  # type: ignore[misc]
    def content(self) -> Content:
        """What is shown."""
        return self._content

    def set_content(self, content: Content) -> None:
        self._content = content
        if not self.is_attached:
            return  # It is laid out when it is put in its place.
        # By the size that it was given: to ask where it stands would arrange the whole screen for one that has no place yet.
        before, width = self._wrapped, max(0, self.outer_size.width - self.styles.gutter.width)
        height = len(before.lines) if before is not None and before.width == width else self.outer_size.height - self.styles.gutter.height
        if not width or (wrapped := self._lines(width)) is None:
            self._wrapped = None
            self.refresh(layout=True)
        elif len(wrapped.lines) != height:
            at_hand = isinstance(self.screen, MainScreen) and self.screen.lengthen(self, len(wrapped.lines) - height)
            self.refresh(layout=not at_hand)
        else:
            self.refresh(Region(0, wrapped.changed, width, height - wrapped.changed))

    def _lines(self, width: int) -> Wrapped | None:
        """The lines of ``width`` cells; nothing where a part of them is selected, which is drawn as Textual does."""
        if self.text_selection is not None:
            return None
        found = self._wrapped
        if found is None or found.content is not self._content or (found.width, found.style) != (width, self.visual_style):
            self._wrapped = found = Wrapped.of(self, self._content, width, found)
        return found

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        if (wrapped := self._wrapped) is not None and wrapped.content is self._content and wrapped.width == width:
            return len(wrapped.lines)
        return super().get_content_height(container, viewport, width)

    def render_lines(self, crop: Region) -> list[Strip]:
        """With no border and no padding, its lines are what is drawn: nothing is put around them."""
        if self.styles.gutter != NULL_SPACING or (crop.x, crop.width) != (0, self.outer_size.width) or (wrapped := self._lines(crop.width)) is None:
            return super().render_lines(crop)
        lines = wrapped.lines[crop.y : crop.bottom]
        if len(lines) < crop.height:
            lines = lines + [Strip.blank(crop.width, wrapped.style.background_style.rich_style)] * (crop.height - len(lines))
        background = wrapped.style.background or self.background_colors[1]
        for line_filter in self.get_line_filters():
            lines = [line.apply_filter(line_filter, background) for line in lines]
        return lines

    def notify_style_update(self) -> None:
        self._wrapped = None
        super().notify_style_update()


class Growing(Markdown, Grows):
    """The words of an answer; see :func:`~tui.widgets.entries.words_only` for what is not drawn."""

    virtual_size = laid_out()
    BLOCKS = {**Markdown.BLOCKS, "paragraph_open": GrowingParagraph}

    def __init__(self, text: str = "") -> None:
        parser = words_only()
        # One for all its pieces: it takes longer to make a parser than to read a paragraph.
        super().__init__(text, open_links=False, parser_factory=lambda: parser)
        self._parser = parser

    async def grow(self, text: str) -> None:
        """Add ``text`` to what stands there. Words for the last paragraph make no new widget, as :meth:`append` does, and a
        paragraph below it makes one, where that would make both anew."""
        last = self.children[-1] if self.children else None
        if isinstance(last, GrowingParagraph) and not self.lock.is_locked:
            source = self.source + text
            tokens = self._parser.parse("".join(source.splitlines(keepends=True)[self._last_parsed_line :]))
            count, rest = divmod(len(tokens), 3)
            if count and not rest and [token.type for token in tokens] == PARAGRAPH * count:
                self._markdown = source
                async with self.lock:
                    await self._put(last, tokens)
                return
        await self.append(text)

    async def _put(self, last: GrowingParagraph, tokens: list[Token]) -> None:
        """What the last paragraph is now, and those that follow it."""
        first, fresh = self._last_parsed_line, []
        for opens, inline in zip(tokens[::3], tokens[1::3], strict=True):
            paragraph = last if opens is tokens[0] else GrowingParagraph(self, opens)
            start, end = opens.map or (0, 0)
            paragraph.source_range = (first + start, first + end)
            paragraph._token, self._last_parsed_line = opens, first + start
            paragraph.build_from_token(inline)
            if paragraph is not last:
                fresh.append(paragraph)
        if fresh:
            await self.mount_all(fresh)

    def render_lines(self, crop: Region) -> list[Strip]:
        return backdrop(super().render_lines, crop)
