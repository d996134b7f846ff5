"""Tokens beside what is typed, attached and found: counted on a thread once the typing pauses, and drawn where it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.content import Content

if TYPE_CHECKING:
    from textual.app import App
    from textual.timer import Timer

    from engine.commands.lengths import Lengths
    from tui.bridge import Bridge
    from tui.messages import MeasureTexts
    from tui.parts import Parts
    from tui.state.chat import ChatState

    Base = App[int]
else:
    Base = object

PAUSE = 0.3
"""Seconds without a key after which what stands in the box is counted."""
SPEAKING = ("/chat ", "/ask ")


class Measuring(Base):
    """The part of the app that says how long texts are."""

    bridge: Bridge
    chat: ChatState
    parts: Parts
    _waiting: Timer | None = None
    _typed = ""

    def measure_typed(self) -> None:
        """Count what stands in the chat box, once the typing pauses."""
        if self._waiting is not None:
            self._waiting.stop()
        self._typed = _said(self.parts.box.text)
        if not self._typed:
            self.parts.box.border_subtitle = ""
            return
        self._waiting = self.set_timer(PAUSE, self._measure_typed)

    async def _measure_typed(self) -> None:
        typed = self._typed
        found = await self.measure([typed])
        if found is not None and typed == self._typed:
            told, style = room_told(found, self.chat.context if self.chat.mode == "chat" else None, self.parts.chips.tokens)
            self.parts.box.border_subtitle = Content.styled(told, style)

    async def measure(self, texts: list[str]) -> Lengths | None:
        """Tokens of texts for the model in use; ``None`` where that can't be told at once."""
        engine = self.bridge.engine
        return await self.bridge.call(lambda: engine.lengths(texts)) if engine is not None and texts else None

    def on_measure_texts(self, event: MeasureTexts) -> None:
        async def answer() -> None:
            if (found := await self.measure(event.texts)) is not None:
                event.show(found.tokens)

        self.run_worker(answer(), exit_on_error=False)


def _said(text: str) -> str:
    """What of a line is said to a model: a slash line's words after ``/chat`` or ``/ask``, else all of it."""
    if not text.startswith("/"):
        return text.strip()
    return next((text.removeprefix(verb).strip() for verb in SPEAKING if text.startswith(verb)), "")


def room_told(found: Lengths, context: dict[str, Any] | None, attached: int) -> tuple[str, str]:
    """The tokens of what is typed and attached, beside what is left of the model's window, and how that is drawn.

    ``context``: how full the window is (:meth:`ChatState.context`), empty at a conversation's beginning; ``None`` for a
    question that the conversation does not go along with.
    """
    tokens = sum(found.tokens) + attached
    told = f"{tokens:,} token{'' if tokens == 1 else 's'}"
    if context is None or not (window := context.get("window") or found.window):
        return told, "$text-muted"
    room = context.get("room", min(512, window // 2))
    if tokens > window - room:
        return f"{told}, more than the {window:,} that {found.model} reads", "$error"
    left = window - room - context.get("used", 0) - tokens
    if left < 0:
        return f"{told}, older turns make room", "$warning"
    return f"{told}, {left:,} left", "$text-muted"
