"""Moving about: which panel, which detail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.actions import SkipAction
from textual.widgets import Input, TextArea

from engine.errors import BitternError
from tui.state.view import KINDS, LISTS, WIDE, ViewState

if TYPE_CHECKING:
    from textual.app import App
    from textual.events import Resize
    from textual.screen import Screen
    from textual.widget import Widget

    from engine.engine import Engine
    from tui import messages
    from tui.bridge import Bridge
    from tui.parts import Parts
    from tui.state.catalog import CatalogState
    from tui.state.chat import ChatState
    from tui.state.jobs import JobsState
    from tui.state.message import Message
    from tui.talk import Talk

    Base = App[int]
else:
    Base = object


class Roaming(Base):
    """The part of the app that moves between panels; everything it draws is drawn by the panels."""

    bridge: Bridge
    chat: ChatState
    jobs: JobsState
    catalog: CatalogState
    talk: Talk
    main: Screen[Any]
    parts: Parts

    if TYPE_CHECKING:
        # The app has these.
        def draw_mode(self) -> None: ...

        async def draw_chat(self, changed: Any) -> None: ...

        async def verbs(self) -> list[tuple[str, str]]: ...

    def __init__(self) -> None:
        super().__init__()
        self.view = ViewState()

    @property
    def furnished(self) -> bool:
        """Whether the panels are on the screen; the first picture has none yet."""
        return hasattr(self, "parts") and self.parts.furnished

    @property
    def engine(self) -> Engine:
        """The open engine. Raises ``BitternError`` before it is there."""
        if self.bridge.engine is None:
            raise BitternError("The workspace is still being opened.", "Try again in a moment.")
        return self.bridge.engine

    def arrange(self, width: int = 0) -> None:
        """Show the parts that the view asks for, on a screen of ``width`` columns (0: as wide as it is)."""
        seen = self.view.visible(width or self.size.width)
        for name in (*LISTS, "detail", "chat"):
            self.main.query_one(f"#{name}").display = name in seen
        side = self.main.query_one("#side")
        side.display = any(name in seen for name in LISTS)
        side.styles.width = "1fr" if self.view.zoom in LISTS else None
        self.parts.bar.show_panel(self.view.panel)

    def on_resize(self, event: Resize) -> None:
        if self.furnished:
            # The screen itself learns its new size only after this.
            self.arrange(event.size.width)

    def action_go(self, panel: str) -> None:
        """Go to a panel: its list, or the chat box."""
        self.view.panel = panel
        if self.view.zoom:
            self.view.zoom = ""
        if panel in KINDS and self.size.width < WIDE:
            self.view.detail = ""
        self.arrange()
        # At once: keys that are typed right behind this one go there, too.
        self.main.set_focus(self.parts.box if panel == "chat" else self.main.query_one(f"#{panel}"))

    @property
    def sees_chat(self) -> bool:
        """Whether the conversation is on the screen."""
        return self.screen is self.main and "chat" in self.view.visible(self.size.width)

    def show_chat(self) -> None:
        """What a line was answered with stands in the conversation: that comes to the front where another part hides it."""
        if self.sees_chat or self.screen is not self.main:
            return
        if self.size.width < WIDE:
            self.action_go("chat")
        else:
            self.view.zoom = ""
            self.arrange()

    def on_descendant_focus(self, event: Any) -> None:
        """On a wide screen the panel is where the focus is."""
        part = self.part_of(event.widget)
        panel = {kind: name for name, kind in KINDS.items()}.get(self.view.detail, "chat") if part == "detail" else part
        if panel and panel != self.view.panel and self.size.width >= WIDE:
            self.view.panel = panel
            self.parts.bar.show_panel(panel)

    def part_of(self, widget: Widget | None) -> str:
        """The part of the screen a widget stands in."""
        for node in widget.ancestors_with_self if widget else ():
            if node.id in (*LISTS, "detail", "chat"):
                return str(node.id)
            if node.id == "chatbox":
                return "chat"
        return ""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Nothing moves behind a dialog, nor before the panels are there."""
        if action in ("go", "mode", "help", "box", "zoom", "back", "sampling", "sessions") and (not self.furnished or self.screen is not self.main):
            return False
        return super().check_action(action, parameters)

    def action_box(self, text: str) -> None:
        """To the chat box, with the beginning of a line; in a field the key is text."""
        if isinstance(self.focused, (Input, TextArea)):
            raise SkipAction
        box = self.parts.box
        if text and not box.text:
            box.put(text)
        self.main.set_focus(box)

    def on_fill_box(self, event: messages.FillBox) -> None:
        box = self.parts.box
        box.put(event.text)
        box.focus()

    def action_zoom(self) -> None:
        self.view.toggle_zoom(self.part_of(self.focused) or self.view.panel)
        self.arrange()

    async def action_back(self) -> None:
        """One step back: stop an answer that is being read, inside the detail, then out of it, then to the chat box."""
        if (message := self.chat.busy) and self.part_of(self.focused) == "chat":
            self.stop(message)
        elif self.view.detail and self.part_of(self.focused) == "detail":
            if self.view.detail == "dataset" and self.parts.dataset.back():
                return
            panel = {kind: name for name, kind in KINDS.items()}[self.view.detail]
            self.view.detail = self.view.zoom = ""
            self.action_go(panel)
        elif self.view.zoom or (self.view.detail and self.size.width >= WIDE):
            self.view.detail = self.view.zoom = ""
            self.arrange()
        else:
            self.action_go("chat")

    def on_chat_box_left(self) -> None:
        """Esc in the box: stop a running answer, else go to the panels."""
        if (message := self.chat.busy) and self.bridge.engine:
            self.stop(message)
        elif self.size.width < WIDE and self.view.panel == "chat":
            self.parts.chat.focus()
        else:
            self.action_go(self.view.panel if self.view.panel in KINDS else "datasets")

    def stop(self, message: Message) -> None:
        """Ask an answer to stop, and say so: a model that still reads the question hears it between two batches."""
        self.engine.stop(message.ticket)
        message.stopping = True
        self.run_worker(self.draw_chat([message]))

    def action_mode(self) -> None:
        self.chat.mode = "chat" if self.chat.mode == "ask" else "ask"
        self.draw_mode()
