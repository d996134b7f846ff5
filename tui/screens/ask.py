"""A question with a few answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tui.text import clean, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult


class AskScreen(ModalScreen[str]):
    """Dismissed with the name of the chosen answer; Esc chooses the last one, which must change nothing. The cursor
    stands on the answer at ``first``."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "stay", "Back")]

    def __init__(self, title: str, text: str, answers: Sequence[tuple[str, str]], first: int = 0) -> None:
        super().__init__()
        self._first = first
        self._title, self._text, self._answers = title, text, answers

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Content(one_line(self._title, 60))
            yield Static(Content(clean(self._text)), markup=False, id="question")
            yield OptionList(*(Option(Content(clean(text)), id=name) for name, text in self._answers), markup=False, compact=True, id="answers")

    def on_mount(self) -> None:
        answers = self.query_one("#answers", OptionList)
        answers.highlighted = self._first
        answers.focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(event.option.id or "")

    def action_stay(self) -> None:
        self.dismiss(self._answers[-1][0])


class SavingScreen(ModalScreen[None]):
    """Shown while checkpoints are written before the end."""

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static("Saving… running jobs write a checkpoint, which may take half a minute.", markup=False)


QUIT_ANSWERS = (
    ("background", "Keep running in the background"),
    ("pause", "Pause (resume later, nothing is lost)"),
    ("cancel", "Cancel the jobs"),
    ("stay", "Stay"),
)


def quit_screen(titles: Sequence[str]) -> AskScreen:
    """What to do with these jobs before the end."""
    names = "\n".join(f"  {title}" for title in titles[:5]) + (f"\n  and {len(titles) - 5} more" if len(titles) > 5 else "")
    one = len(titles) == 1
    return AskScreen("Quit", f"{'A job is' if one else f'{len(titles)} jobs are'} not finished:\n{names}", QUIT_ANSWERS)
