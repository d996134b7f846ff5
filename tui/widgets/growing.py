"""Markdown that grows while it is streamed, at the least cost for each picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.geometry import Region, Size
from textual.reactive import Reactive
from textual.widgets import Markdown

# Textual is pinned, and its public module leaves the paragraph out.
from textual.widgets._markdown import MarkdownParagraph

from tui.widgets.entries import words_only

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.content import Content
    from textual.strip import Strip


def laid_out() -> Reactive[Size]:
    """The ``virtual_size`` of a widget that is not to be laid out and drawn a second time for it, as any other is: it is
    set when all has been laid out."""
    return Reactive(Size(0, 0), repaint=False)


def backdrop(render_lines: Callable[[Region], list[Strip]], crop: Region) -> list[Strip]:
    """The lines of what is seen behind its children alone: they are all the same, so that one is drawn for all."""
    return render_lines(Region(crop.x, 0, crop.width, min(1, crop.height))) * crop.height


class GrowingParagraph(MarkdownParagraph):
    """A paragraph whose new words ask for a new layout only where they take another line: a layout arranges all panels."""

    virtual_size = laid_out()

    def set_content(self, content: Content) -> None:
        self._content = content
        before, width = self.content_size.height, self.content_size.width
        rules: Any = self.styles
        same = self.is_attached and width > 0 and content.get_height(rules, width) == before
        self.update(content, layout=not same)


class Growing(Markdown):
    """The words of an answer; see :func:`~tui.widgets.entries.words_only` for what is not drawn."""

    virtual_size = laid_out()
    BLOCKS = {**Markdown.BLOCKS, "paragraph_open": GrowingParagraph}

    def __init__(self, text: str = "") -> None:
        parser = words_only()
        # One for all its pieces: it takes longer to make a parser than to read a paragraph.
        super().__init__(text, open_links=False, parser_factory=lambda: parser)

    def render_lines(self, crop: Region) -> list[Strip]:
        return backdrop(super().render_lines, crop)
