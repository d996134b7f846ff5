"""What panels and widgets ask of the app; the app decides, no panel knows another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textual.message import Message

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.errors import BitternError


@dataclass
class RunLine(Message):
    """Run a line of the grammar. ``quiet``: its answer is told in passing, not in the conversation."""

    line: str
    quiet: bool = False


@dataclass
class RunVerb(Message):
    """Run a Command with these values, after the ones before it: for values that a line could not hold as they are.
    ``told``: say in passing what came of it; an error is always told."""

    verb: str
    values: dict[str, Any]
    told: bool = True


@dataclass
class Told(Message):
    """Something to read in the conversation, or an error that ended it."""

    text: str
    error: BitternError | None = None


@dataclass
class FillBox(Message):
    """Put text into the chat box and go there."""

    text: str


@dataclass
class OpenRow(Message):
    """Open a row by its address (``name/split/index``); ``passage`` is marked in it, or only what supports ``answer``."""

    address: str
    passage: str = ""
    answer: str = ""


@dataclass
class OpenView(Message):
    """Open the table of a dataset, its rows filtered by ``where``, a SQL expression; the first split when none is named."""

    dataset: str
    split: str = ""
    where: str = ""


@dataclass
class ShowDetail(Message):
    """Open what a list's cursor is on. ``kind``: dataset, model, job."""

    kind: str
    name: str


@dataclass
class OpenScreen(Message):
    """Open one of the whole screens. ``kind`` is a key of ``tui.screens.registry.SCREENS``, ``name`` what it is made with."""

    kind: str
    name: str = ""


@dataclass
class AskTrain(Message):
    """Open the form for a fine-tuning."""

    base: str = ""
    dataset: str = ""


@dataclass
class AskSure(Message):
    """Run ``line`` after a yes."""

    question: str
    line: str
    yes: str = "Yes"


@dataclass
class ReviseMessage(Message):
    """Let the person put a question anew: its number in the conversation, and its text."""

    id: int
    text: str


class ShowBranches(Message):
    """Show the conversation as a tree."""


@dataclass
class MeasureTexts(Message):
    """How many tokens have these? ``show`` is called with those of each, where that can be told at once."""

    texts: list[str]
    show: Callable[[list[int]], None]
