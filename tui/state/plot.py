"""Lines of dots in a frame, in the cells of a terminal: for the screen, and with no colours for the command line."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Points = Sequence[tuple[float, float]]

INKS = ((86, 180, 233), (230, 159, 0), (0, 158, 115), (204, 121, 167))
"""Okabe and Ito's colours, which the colour-blind tell apart; letters tell the lines apart without any."""
LETTERS = "ABCD"
LABEL = 9
"""Cells of a value beside the chart."""
FRAME = -1
"""The ink of the frame and its marks; others are numbers of a line."""
BRAILLE = 0x2800
BITS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""The bit of each of the eight dots of a braille sign, by column and row."""
PARTS = 4
Piece = tuple[str, int]
"""Signs that stand beside each other in one ink."""


class Dots:
    """A canvas of ``columns`` by ``rows`` cells, each of two by four dots; the ink that came last has the cell."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self._bits = [0] * (columns * rows)
        self._inks = [FRAME] * (columns * rows)
        self._signs: dict[int, str] = {}

    def line(self, points: Sequence[tuple[int, int]], ink: int) -> None:
        """Join dots (column, row from above), all within the canvas."""
        bits, inks, columns = self._bits, self._inks, self.columns
        for (x, y), (to_x, to_y) in zip(points, points[1:] or points, strict=False):
            way = max(abs(to_x - x), abs(to_y - y), 1)
            step_x, step_y = (to_x - x) / way, (to_y - y) / way
            for number in range(way + 1):
                across, down = int(x + step_x * number + 0.5), int(y + step_y * number + 0.5)
                cell = (down >> 2) * columns + (across >> 1)
                bits[cell] |= BITS[across & 1][down & 3]
                inks[cell] = ink

    def sign(self, column: int, row: int, signs: str, ink: int) -> None:
        """Signs on top of whatever is drawn there; what reaches over the edge is left out."""
        for number, sign in enumerate(signs):
            if 0 <= column + number < self.columns and 0 <= row < self.rows:
                self._signs[row * self.columns + column + number] = sign
                self._inks[row * self.columns + column + number] = ink

    def row(self, number: int) -> list[Piece]:
        """A row of cells as pieces of one ink each."""
        found: list[Piece] = []
        start = number * self.columns
        text, last = "", FRAME
        for cell in range(start, start + self.columns):
            bits = self._bits[cell]
            sign = self._signs.get(cell) or (chr(BRAILLE + bits) if bits else " ")
            ink = self._inks[cell]
            if ink != last:
                if text:
                    found.append((text, last))
                text, last = "", ink
            text += sign
        return [*found, (text, last)]


@dataclass(frozen=True, slots=True)
class Line:
    """``points`` in the order of x. ``mark``: a point to point out."""

    points: Points
    letter: str = ""
    mark: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawn chart: ``rows`` of pieces. ``low`` and ``high`` are where its x begin and end, ``columns`` the cells between."""

    rows: list[list[Piece]] = field(default_factory=list)
    low: float = 0.0
    high: float = 0.0
    columns: int = 0

    def cell(self, x: float) -> int | None:
        """The column of the picture where ``x`` stands; ``None`` outside."""
        if not self.columns or not self.low <= x <= self.high:
            return None
        part = (x - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return LABEL + 1 + min(self.columns - 1, int(part * self.columns))

    def part(self, cell: int) -> float | None:
        """How far across (0 to 1) a column of the picture stands; ``None`` outside the frame."""
        inside = cell - LABEL - 1
        return inside / max(1, self.columns - 1) if 0 <= inside < self.columns else None


def plot(lines: Sequence[Line], width: int, height: int, *, log: bool = False, seconds: bool = False) -> Plot:
    """Draw lines into ``width`` by ``height`` cells, frame and marks included; nothing where there is no room or no point.

    ``log``: by the logarithm of the values, which are all above 0. ``seconds``: x is told as a time.
    """
    scaled = [[(x, math.log10(y)) for x, y in line.points] if log else line.points for line in lines]
    columns, rows = width - LABEL - 2, height - 3
    if columns < 4 or rows < 2 or not any(scaled):
        return Plot()
    low_x, high_x = _ends(x for points in scaled for x, _ in points)
    low_y, high_y = _ends(y for points in scaled for _, y in points)

    def dot(x: float, y: float) -> tuple[int, int]:
        across = (x - low_x) / (high_x - low_x) if high_x > low_x else 0.5
        up = (y - low_y) / (high_y - low_y) if high_y > low_y else 0.5
        return round(across * (2 * columns - 1)), round((1 - up) * (4 * rows - 1))

    canvas = Dots(columns, rows)
    drawn = [_decimated([dot(x, y) for x, y in points]) for points in scaled]
    for ink, points in enumerate(drawn):
        if points:
            canvas.line(points, ink)
    for ink, (line, points) in enumerate(zip(lines, drawn, strict=True)):
        # Some letters on each line tell them apart where there are no colours.
        some = {(len(points) - 1) * (2 * part + 1 + ink % 2) // 10 for part in range(5)} if points and line.letter else set()
        for x, y in (points[at] for at in some):
            canvas.sign(x >> 1, y >> 2, line.letter, ink)
    for ink, line in enumerate(lines):
        if line.mark is not None and line.points:
            x, y = dot(line.mark[0], math.log10(line.mark[1]) if log else line.mark[1])
            canvas.sign(x >> 1, y >> 2, "◆", ink)
    return Plot(_framed(canvas, (low_x, high_x), (low_y, high_y), log=log, seconds=seconds), low_x, high_x, columns)


def _ends(values: Iterable[float]) -> tuple[float, float]:
    found = list(values)
    return min(found), max(found)


def _decimated(dots: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The dots that draw the same picture: of each column the first, the lowest, the highest and the last."""
    found: list[tuple[int, int]] = []
    start = 0
    for at in range(1, len(dots) + 1):
        if at < len(dots) and dots[at][0] == dots[start][0]:
            continue
        column = dots[start:at]
        if len(column) > 4:
            column = [column[0], min(column), max(column), column[-1]]
        found += column
        start = at
    return found


def _framed(canvas: Dots, across: tuple[float, float], up: tuple[float, float], *, log: bool, seconds: bool) -> list[list[Piece]]:
    """The canvas in a frame, with values on the left and steps or times below."""
    parts = range(PARTS + 1) if up[1] > up[0] else range(1)
    values = [(part / PARTS if up[1] > up[0] else 0.5, up[0] + (up[1] - up[0]) * part / PARTS) for part in parts]
    marks = {round((1 - part) * (canvas.rows - 1)): f"{10**value if log else value:.3g}".rjust(LABEL) for part, value in values}
    ticks, below = _below(canvas.columns, _places(*across), seconds=seconds)
    rows: list[list[Piece]] = [[(f"{'':{LABEL}}┌{'─' * canvas.columns}┐", FRAME)]]
    for number in range(canvas.rows):
        side = f"{marks[number]}┤" if number in marks else f"{'':{LABEL}}│"
        rows.append([(side, FRAME), *canvas.row(number), ("│", FRAME)])
    line = "".join("┬" if column in ticks else "─" for column in range(canvas.columns))
    return [*rows, [(f"{'':{LABEL}}└{line}┘", FRAME)], [(f"{'':{LABEL + 1}}{below} ", FRAME)]]


def _places(low: float, high: float) -> list[tuple[float, float]]:
    """How far across which values stand below a chart: whole ones, each once and where it belongs."""
    if high <= low:
        return [(0.5, low)]
    wholes = dict.fromkeys(round(low + (high - low) * part / PARTS) for part in range(PARTS + 1))
    return [(min(1.0, max(0.0, (whole - low) / (high - low))), whole) for whole in wholes]


def _below(columns: int, places: Sequence[tuple[float, float]], *, seconds: bool) -> tuple[set[int], str]:
    """Where marks stand below a chart, and the line that tells them; one that has no room is left out."""
    ticks, line = set(), ""
    for part, x in places:
        at = round(part * (columns - 1))
        told = clock(x) if seconds else f"{round(x)}"
        left = max(0, min(at - len(told) // 2, columns - len(told)))
        if left < len(line) + bool(line):
            continue
        ticks.add(at)
        line = line.ljust(left) + told
    return ticks, line.ljust(columns)


def clock(seconds: float) -> str:
    """Seconds as a time on a chart: 42s, 3:20, 1:05:00."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def plain(drawn: Plot) -> str:
    """A chart as text with no colours."""
    return "\n".join("".join(text for text, _ in row).rstrip() for row in drawn.rows)


def spark(values: Sequence[float], width: int) -> str:
    """The last values as a line of bars, ``width`` cells at most; each is the mean of its stretch."""
    if len(values) < 2:
        return ""
    cells = min(width, len(values))
    means = []
    for number in range(cells):
        stretch = values[number * len(values) // cells : (number + 1) * len(values) // cells]
        means.append(sum(stretch) / len(stretch))
    low, high = min(means), max(means)
    return "".join("▁▂▃▄▅▆▇█"[round(7 * (mean - low) / (high - low)) if high > low else 0] for mean in means)
