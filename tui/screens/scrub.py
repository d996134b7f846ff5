"""One prompt, answered by each checkpoint of a training: the arrow keys turn through the steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.text import clean, one_line
from tui.widgets.keyline import KeyLine

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from tui.bridge import Bridge


class ScrubScreen(ModalScreen[None]):
    """``name`` is the number of a ``scrub`` job that is done."""

    CSS = """
    ScrubScreen { align: left top; background: $background; }
    #scrub-head { height: auto; background: $panel; padding: 0 1; }
    #scrub-body { height: 1fr; padding: 1 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "Back"),
        Binding("right,n", "turn(1)", "Later"),
        Binding("left,p", "turn(-1)", "Earlier"),
        Binding("home", "turn(-1000)", "Base", show=False),
        Binding("end", "turn(1000)", "Last", show=False),
    ]

    def __init__(self, bridge: Bridge, name: str) -> None:
        super().__init__()
        self._bridge, self._job, self._at = bridge, name, 0
        self.found: dict[str, Any] = {}

    def compose(self) -> ComposeResult:
        yield Static("Reading the answers…", id="scrub-head", markup=False)
        with VerticalScroll(id="scrub-body"):
            yield Static(id="scrub-answer", markup=False)
        yield KeyLine()

    def on_mount(self) -> None:
        self.query_one("#scrub-body").focus()
        self.run_worker(self._read(), exit_on_error=False)

    async def _read(self) -> None:
        engine = self._bridge.engine
        if engine is None:
            return
        answer = await self._bridge.call(lambda: engine.result(self._job))
        self.found = answer.data
        self._at = len(self.found["answers"]) - 1
        self._draw()

    def action_turn(self, by: int) -> None:
        self._at = max(0, min(self._at + by, len(self.found.get("answers", [])) - 1))
        if self.found:
            self._draw()

    def on_click(self, event: Any) -> None:
        """A click on the track goes to that step."""
        if self.found and event.widget is self.query_one("#scrub-head") and event.get_content_offset(event.widget):
            steps = self.found["answers"]
            width = max(1, event.widget.content_size.width)
            self._at = min(len(steps) - 1, event.get_content_offset(event.widget).x * len(steps) // width)
            self._draw()

    def _draw(self) -> None:
        steps = self.found["answers"]
        one = steps[self._at]
        width = max(10, self.size.width - 4)
        loss = "" if one["eval_loss"] is None else f"  held-out loss {one['eval_loss']:.4f}"
        where = f"{self.found['base']}, before the training" if one["step"] == 0 else f"step {one['step']:,}"
        self.query_one("#scrub-head", Static).update(
            Content.assemble(
                (one_line(f"Job {self.found['job']}: {self.found['prompt']}", width), "bold"), "\n",
                (where, "bold $accent"), loss, f"  ({self._at + 1} of {len(steps)})\n", *track(len(steps), self._at, width),
            )
        )  # fmt: skip
        changed = self._at > 0 and steps[self._at - 1]["answer"] == one["answer"]
        words = clean(one["answer"]) or "(nothing)"
        note = ("\n\nThe same words as the step before.", "$text-muted") if changed else ""
        self.query_one("#scrub-answer", Static).update(Content.assemble(words, note))


def track(count: int, at: int, width: int) -> list[tuple[str, str]]:
    """A line of ``width`` cells with a mark where step ``at`` of ``count`` stands."""
    place = 0 if count < 2 else at * (width - 1) // (count - 1)
    return [("━" * place, "$accent"), ("●", "bold $accent"), ("─" * (width - 1 - place), "$text-disabled")]
