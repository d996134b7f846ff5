"""Values of a row as widgets: long texts in pieces, JSON as a tree, conversations as turns."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.text import Text
from textual.content import Content
from textual.geometry import Region, Spacing
from textual.widget import Widget
from textual.widgets import Static, Tree

from tui.state.look import turns
from tui.text import cells, clean, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from textual.widgets.tree import TreeNode

PIECE = 4000
"""Characters of a text drawn by one widget: what is far below is only drawn when it is scrolled to."""
CHILDREN = 200
"""Entries of a list or an object unfolded at once."""
OPEN = 40
"""Lines of a tree that stand open at first."""
WRAP = 96
PARSED = 1_000_000
"""Characters of a text that may be read as JSON."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a row that is drawn when it is wanted. ``marked``: it holds the mark that a citation leads to."""

    make: Callable[[], Widget]
    weight: int = 1
    marked: bool = False


def pieces_of(content: Content, css: str = "value") -> Iterator[Piece]:
    """A text in parts, each cut at the end of a line where there is one."""
    text, start = content.plain, 0
    marks = [(span.start, span.end) for span in content.spans]
    while start < len(text) or start == 0:
        end = start + PIECE
        if end < len(text):
            line = text.rfind("\n", start + PIECE // 2, end)
            word = text.rfind(" ", start + PIECE // 2, end)
            end = line + 1 if line > 0 else word + 1 if word > 0 else end
        part = content[start:end] if start or end < len(text) else content
        marked = any(first < end and last > start for first, last in marks)
        last_line = part[:-1] if part.plain.endswith("\n") and end < len(text) else part
        yield Piece(lambda part=last_line: Static(part, markup=False, classes=css), len(part.plain), marked)  # type: ignore[misc]
        start = end


def parsed(text: str) -> Any:
    """The list or object that a text spells as JSON, or ``None``."""
    lead = text.lstrip()[:1]
    if lead not in ("{", "[") or not lead or len(text) > PARSED:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, (dict, list)) and value else None


def pieces_of_turns(value: object) -> Iterator[Piece]:
    """A conversation: each turn under its role."""
    for role, words, more in turns(value):
        style = {"user": "bold $primary", "assistant": "bold $secondary"}.get(role.lower(), "bold $warning")
        yield Piece(lambda role=role, style=style: Static(Content.styled(f"▌ {one_line(role, 24)}", style), markup=False, classes="role"))  # type: ignore[misc]
        if words:
            yield from pieces_of(Content(clean(words)), "value turn")
        if more:
            yield Piece(lambda more=more: JsonTree(more), 200)  # type: ignore[misc]


class JsonTree(Tree[Any]):
    """A value as a tree; lists and objects open with Enter or a click, long texts too."""

    def __init__(self, value: Any) -> None:
        super().__init__("", classes="json")
        self.show_root = False
        self.guide_depth = 3
        self.auto_expand = True
        self._fill(self.root, _parts(value), 0)
        self.root.expand()
        self._open_first()

    def render_label(self, node: TreeNode[Any], base_style: Any, style: Any) -> Text:
        """The label as it is: no arrow before what has nothing below it."""
        mark = ("▾ " if node.is_expanded else "▸ ") if node.allow_expand else "  "
        label = node.label.copy() if isinstance(node.label, Text) else Text(str(node.label))
        label.stylize(style)
        return Text.assemble((mark, base_style), label)

    def on_tree_node_expanded(self, event: Tree.NodeExpanded[Any]) -> None:
        event.stop()
        self._unfold(event.node)

    def on_tree_node_highlighted(self, event: Tree.NodeHighlighted[Any]) -> None:
        event.stop()
        if self.has_focus:
            self.call_after_refresh(self._follow)

    def _follow(self) -> None:
        """Keep the cursor in sight: the tree is as tall as it needs, and what it stands in scrolls."""
        row = self.parent
        if isinstance(row, Widget) and self.cursor_line >= 0:
            row.scroll_to_region(Region(0, self.virtual_region.y + self.cursor_line, 1, 1), animate=False, spacing=Spacing(1, 0, 1, 0))

    def on_tree_node_collapsed(self, event: Tree.NodeCollapsed[Any]) -> None:
        event.stop()

    def on_tree_node_selected(self, event: Tree.NodeSelected[Any]) -> None:
        event.stop()
        if event.node.data is not None and isinstance(event.node.data, _Rest):
            rest, parent = event.node.data, event.node.parent
            event.node.remove()
            if parent is not None:
                self._fill(parent, rest.parts, rest.start)

    def _unfold(self, node: TreeNode[Any]) -> None:
        if node.children or node.data is None or isinstance(node.data, _Rest):
            return
        if isinstance(node.data, str):
            for line in _wrapped(clean(node.data)):
                node.add_leaf(Text(line))
        else:
            self._fill(node, _parts(node.data), 0)

    def _fill(self, node: TreeNode[Any], parts: list[tuple[str, Any]], start: int) -> None:
        for key, value in parts[start : start + CHILDREN]:
            node.add(_label(key, value), data=value if _opens(value) else None, allow_expand=_opens(value))
        if (more := len(parts) - start - CHILDREN) > 0:
            node.add_leaf(Text(f"… {more:,} more", style="italic"), data=_Rest(parts, start + CHILDREN))

    def _open_first(self) -> None:
        """Open what is on top, level by level, for as long as it stays short."""
        room, level = OPEN - len(self.root.children), list(self.root.children)
        while level:
            below: list[TreeNode[Any]] = []
            for node in level:
                if isinstance(node.data, (dict, list)) and len(node.data) <= room:
                    self._unfold(node)
                    node.expand()
                    room -= len(node.children)
                    below += node.children
            level = below


@dataclass(frozen=True, slots=True)
class _Rest:
    """What a long list has not shown yet."""

    parts: list[tuple[str, Any]]
    start: int


def _parts(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [(str(key), part) for key, part in value.items()]
    return [(str(number), part) for number, part in enumerate(value)]


def _opens(value: Any) -> bool:
    return bool(value) and (isinstance(value, (dict, list)) or (isinstance(value, str) and (len(value) > WRAP or "\n" in value)))


def _label(key: str, value: Any) -> Text:
    name = Text(f"{one_line(key, 40)}: ", style="bold")
    if isinstance(value, (dict, list)):
        few = {0: "empty", 1: "1 entry"}.get(len(value), f"{len(value):,} entries")
        return name + Text(few, style="italic dim")
    if isinstance(value, str):
        return name + Text(f"“{one_line(value, WRAP)}”")
    return name + Text("null" if value is None else json.dumps(value, default=str), style="italic")


def _wrapped(text: str) -> Iterator[str]:
    """The lines of a text, long ones broken at white space where there is any."""
    for line in text.expandtabs(4).split("\n"):
        rest = line
        while cells(rest) > WRAP:
            at = rest.rfind(" ", WRAP // 2, WRAP)
            at = at if at > 0 else WRAP // 2
            yield rest[:at]
            rest = rest[at:].lstrip() if rest[at : at + 1] == " " else rest[at:]
        yield rest
