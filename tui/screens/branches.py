"""All that was said in a conversation, as a tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Tree

from engine.commands.talk.thinking import spoken
from tui.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.widgets.tree import TreeNode


class BranchesScreen(ModalScreen[int]):
    """Dismissed with the id of the message whose branch is wanted, or 0. ``messages`` as `branch` tells them. A message
    that has no other beside it stands at the same depth as the one above, so that only partings go deeper."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(0)", "Back")]

    def __init__(self, messages: Sequence[dict[str, Any]]) -> None:
        super().__init__()
        self._messages = messages

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog wide", id="branches") as dialog:
            dialog.border_title = "Branches"
            dialog.border_subtitle = "Enter goes on there, Space folds, Esc leaves it"
            tree: Tree[int] = Tree("", id="branches-tree")
            tree.show_root = False
            tree.guide_depth = 3
            yield tree

    def on_mount(self) -> None:
        tree = self.query_one("#branches-tree", Tree)
        tree.root.expand()
        below: dict[int, list[dict[str, Any]]] = {}
        for message in self._messages:
            below.setdefault(message["under"] or 0, []).append(message)
        here: TreeNode[int] | None = None
        waiting: list[tuple[dict[str, Any], TreeNode[int]]] = [(message, tree.root) for message in reversed(below.get(0, []))]
        while waiting:
            message, above = waiting.pop()
            under = below.get(message["message"], [])
            # What parts, and each of the parts, has what follows set in below it.
            deeper = len(under) > 1 or (len(below[message["under"] or 0]) > 1 and bool(under))
            label = self._label(message)
            node = above.add(label, data=message["message"], expand=True) if deeper else above.add_leaf(label, data=message["message"])
            if message["open"]:
                here = node
            waiting += [(child, node if deeper else above) for child in reversed(under)]
        tree.focus()
        if here is not None:
            self.call_after_refresh(tree.move_cursor, here)

    def _label(self, message: dict[str, Any]) -> Text:
        who = "you" if message["role"] == "user" else str(message["model"] or "rows")
        mark = ("● ", "bold") if message["open"] else ("  ", "")
        words = one_line(spoken(message["text"]) or message["text"], 160)
        return Text.assemble(mark, (f"{one_line(who, 20)}  ", "bold" if message["role"] == "user" else "dim"), words)

    def on_tree_node_selected(self, event: Tree.NodeSelected[int]) -> None:
        event.stop()
        self.dismiss(event.node.data or 0)
