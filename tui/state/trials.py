"""The trials of a sweep as parallel coordinates: an axis for each setting and one for the measure, a line for each trial."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tui.state.plot import FRAME, Dots, Line, Piece, Plot, plot

if TYPE_CHECKING:
    from collections.abc import Sequence

BEST, MIDDLE, WORST = (230, 159, 0), (86, 180, 233), (105, 115, 122)
"""Colours from the best trial to the last, which the colour-blind tell apart."""
MEASURE = "held-out loss"
WIDE = 10.0
"""An axis whose end is at least so many times its beginning is by its logarithm, as the values were drawn."""
FEW = 5
"""So many different values have a mark each."""
HEAD, FOOT = 2, 1
"""Rows above the lines (names, highest values) and below (lowest values)."""


@dataclass(frozen=True, slots=True)
class Axis:
    """``values`` are what trials have here, in the order of the axis; ``numbers``: they are placed by their size."""

    name: str
    values: list[Any]
    numbers: bool

    @classmethod
    def of(cls, name: str, values: Sequence[Any]) -> Axis:
        numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
        return cls(name, sorted(set(values)) if numbers else sorted({str(value) for value in values}), numbers)

    def place(self, value: Any) -> float:
        """How far up (0 to 1) a value stands."""
        if len(self.values) == 1:
            return 0.5
        if not self.numbers:
            return self.values.index(str(value)) / (len(self.values) - 1)
        low, high = self.values[0], self.values[-1]
        if low > 0 and high / low >= WIDE:
            return math.log(value / low) / math.log(high / low)
        return float((value - low) / (high - low))


@dataclass(slots=True)
class TrialsView:
    """``data`` is what ``trials`` answered; ``chosen`` the number of the trial under the cursor, 0 for none."""

    job: str
    chosen: int = 0
    across: bool = True
    """Parallel coordinates; else the best so far."""
    data: dict[str, Any] = field(default_factory=dict)

    def ranked(self) -> list[dict[str, Any]]:
        """Best first; what was stopped after what ended, and what failed last."""
        order = ("done", "halved", "failed")
        return sorted(self.data.get("trials", []), key=lambda trial: (order.index(trial["state"]), trial["eval_loss"] or 0.0))

    def inks(self) -> list[tuple[int, int, int]]:
        """A colour for each rank; of the best so far, one for each line."""
        return [colour(rank, len(self.data["trials"])) for rank in range(len(self.data["trials"]))] if self.across else [MIDDLE, BEST]

    def axes(self) -> list[Axis]:
        trials = self.data["trials"]
        found = [Axis.of(name.replace("_", " "), [trial["settings"][name] for trial in trials]) for name in trials[0]["settings"]]
        losses = [trial["eval_loss"] for trial in trials if trial["eval_loss"] is not None]
        return [*found, *([Axis.of(MEASURE, losses)] if losses else [])]

    def draw(self, width: int, height: int) -> Plot:
        """Either picture, in so many cells."""
        if not self.data.get("trials"):
            return Plot()
        return Plot(self._parallel(width, height)) if self.across else self._so_far(width, height)

    def _so_far(self, width: int, height: int) -> Plot:
        each = [(trial["trial"], trial["eval_loss"]) for trial in self.data["trials"] if trial["eval_loss"] is not None]
        ended = {trial["trial"]: trial["eval_loss"] for trial in self.data["trials"] if trial["state"] == "done"}
        lowest = [(number, min(loss for other, loss in ended.items() if other <= number)) for number in ended]
        return plot([Line(each, "A"), Line(lowest, "B", min(lowest, key=lambda one: one[1], default=None))], width, height)

    def _parallel(self, width: int, height: int) -> list[list[Piece]]:
        axes, ranked = self.axes(), self.ranked()
        rows = height - HEAD - FOOT
        if rows < 3 or width < 8 * len(axes):
            return [[("There is no room for so many settings: a wider terminal, or the table below.", FRAME)]]
        margin = min(8, width // (2 * len(axes)))
        columns = [margin + (width - 2 * margin - 1) * at // max(1, len(axes) - 1) for at in range(len(axes))]
        canvas = Dots(width, height)
        for column in columns:
            for row in range(HEAD, HEAD + rows):
                canvas.sign(column, row, "│", FRAME)

        def dots(trial: dict[str, Any]) -> list[tuple[int, int]]:
            values = [*trial["settings"].values(), *([trial["eval_loss"]] if trial["eval_loss"] is not None else [])]
            places = zip(columns, axes, values, strict=False)
            return [(2 * column, 4 * HEAD + round((1 - axis.place(value)) * (4 * rows - 1))) for column, axis, value in places]

        # The best last, so that it lies on top; the one under the cursor on top of all.
        for rank in reversed(range(len(ranked))):
            canvas.line(dots(ranked[rank]), rank)
        for rank, trial in enumerate(ranked):
            if trial["trial"] == self.chosen:
                canvas.line(dots(trial), FRAME)
                for x, y in dots(trial):
                    canvas.sign(x >> 1, y >> 2, "●", FRAME)
            elif not rank:
                for x, y in dots(trial):
                    canvas.sign(x >> 1, y >> 2, "◆", rank)
        for column, axis in zip(columns, axes, strict=True):
            self._label(canvas, column, axis, rows, room=max(8, width // len(axes) - 1))
        return [canvas.row(number) for number in range(height)]

    def _label(self, canvas: Dots, column: int, axis: Axis, rows: int, room: int) -> None:
        """The name above an axis, its ends, and marks for values that are few."""
        low, high = told(axis.values[0]), told(axis.values[-1])
        for row, text in ((0, axis.name), (1, high if len(axis.values) > 1 else ""), (HEAD + rows, low)):
            said = text[:room]
            canvas.sign(max(0, min(column - len(said) // 2, canvas.columns - len(said))), row, said, FRAME)
        if len(axis.values) <= FEW:
            for value in axis.values[1:-1]:
                text = f" {told(value)}"[:room]
                row = HEAD + round((1 - axis.place(value)) * (rows - 1))
                canvas.sign(column + 1 if column + len(text) < canvas.columns else column - len(text), row, text, FRAME)


def colour(rank: int, count: int) -> tuple[int, int, int]:
    """The colour of the trial at ``rank`` (from 0) of ``count``."""
    part = rank / max(1, count - 1)
    one, other, share = (BEST, MIDDLE, 2 * part) if part < 0.5 else (MIDDLE, WORST, 2 * part - 1)
    red, green, blue = (round(first + (second - first) * share) for first, second in zip(one, other, strict=True))
    return red, green, blue


def told(value: object) -> str:
    """A setting or a measure, short."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
