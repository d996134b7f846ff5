"""The keys that do something where the person is, in the last line of a screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.content import Content
from textual.widget import Widget

if TYPE_CHECKING:
    from textual.events import Click
    from textual.screen import Screen

KEY, WORDS = "bold $footer-key-foreground on $footer-key-background", "$footer-description-foreground"


class KeyLine(Widget, can_focus=False):
    """One widget for all the keys; a click on one is that key.

    Textual's Footer mounts a widget for each key anew whenever the focus moves: most of what a step from panel to panel
    took (``python -m tests.bench keys``).
    """

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    KeyLine { dock: bottom; height: 1; text-wrap: nowrap; color: $footer-foreground; background: $footer-background; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.keys: list[tuple[str, str, str, bool]] = []
        """Key, how it is shown, what it does in words, and whether it does so now."""

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def _changed(self, screen: Screen[Any]) -> None:
        if not (self.app.app_focus and self.is_attached and screen is self.screen):
            return
        keys: dict[str, tuple[str, str, str, bool]] = {}
        for _, binding, enabled, _ in screen.active_bindings.values():
            if binding.show and binding.action not in keys:
                keys[binding.action] = binding.key, self.app.get_key_display(binding), binding.description, enabled
        if list(keys.values()) != self.keys:
            self.keys = list(keys.values())
            self.refresh()

    def render(self) -> Content:
        """The shown key and its words, a space between, one behind the other."""
        parts: list[tuple[str, str]] = []
        for _, shown, words, enabled in self.keys:
            dim = "" if enabled else " dim"
            parts += [(shown, KEY + dim), (f" {words}", WORDS + dim), (" ", "")]
        return Content.assemble(*parts)

    def on_click(self, event: Click) -> None:
        end = 0
        for key, shown, words, enabled in self.keys:
            end += Content(f"{shown} {words} ").cell_length
            if event.x < end:
                self.app.simulate_key(key) if enabled else self.app.bell()
                return
