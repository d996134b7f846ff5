"""Points as braille dots: which cell of the screen each point stands in, and what is drawn there. Plain numbers, no Textual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SIGNS = "abcdefghijklmnopqrstuvwxyz0123456789"
"""A sign for each category, where colours are not seen."""
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The bit of each dot of a braille cell, by row and column."""


@dataclass(frozen=True, slots=True)
class Window:
    """The part of the map that is seen: its middle, and how many times it is magnified."""

    x: float = 0.5
    y: float = 0.5
    zoom: float = 1.0

    def zoomed(self, by: float, x: float, y: float) -> Window:
        """Magnified ``by`` so many times around a point, which keeps its place."""
        zoom = min(256.0, max(1.0, self.zoom * by))
        part = self.zoom / zoom
        return Window(x + (self.x - x) * part, y + (self.y - y) * part, zoom).inside()

    def moved(self, dx: float, dy: float) -> Window:
        """Moved by a part of what is seen."""
        return Window(self.x + dx / self.zoom, self.y + dy / self.zoom, self.zoom).inside()

    def inside(self) -> Window:
        """Moved so that nothing beyond the map is seen."""
        half = 0.5 / self.zoom
        return Window(min(1 - half, max(half, self.x)), min(1 - half, max(half, self.y)), self.zoom)

    @property
    def left(self) -> float:
        return self.x - 0.5 / self.zoom

    @property
    def bottom(self) -> float:
        return self.y - 0.5 / self.zoom


@dataclass(frozen=True, slots=True)
class Grid:
    """What is drawn: a character and a category (-1: none) for each cell of ``height`` rows and ``width`` columns."""

    characters: Any
    categories: Any


def place(window: Window, x: Any, y: Any, width: int, height: int) -> tuple[Any, Any]:
    """The position of points in cells, as fractions: column and row, the row counted from the top."""
    return (x - window.left) * window.zoom * width, (1 - (y - window.bottom) * window.zoom) * height


def draw(window: Window, x: Any, y: Any, category: Any, width: int, height: int, *, signs: bool, only: int = -1) -> Grid:
    """The points as braille, each cell in the category that most of its points have; with ``signs`` a letter for the
    category instead. ``only``: the one category that counts; the others are drawn as -1."""
    import numpy as np

    columns, rows = place(window, x, y, width, height)
    across, down = np.floor(columns * 2).astype(np.int64), np.floor(rows * 4).astype(np.int64)
    # The points on the very edge belong to the last dot.
    across, down = np.where(across == width * 2, across - 1, across), np.where(down == height * 4, down - 1, down)
    seen = (across >= 0) & (across < width * 2) & (down >= 0) & (down < height * 4)
    across, down, kinds = across[seen], down[seen], category[seen]
    cells = (down // 4) * width + across // 2
    count = int(category.max(initial=-1)) + 2
    votes = np.bincount(cells * count + kinds + 1, minlength=width * height * count).reshape(-1, count)
    if only >= 0:
        # One point of the category that is looked for outweighs any number of others.
        votes[:, only + 1] *= votes.sum() + 1
    best = votes.argmax(1) - 1
    if only >= 0:
        best = np.where(best == only, best, -1)
    dots = np.zeros(width * height, np.uint8)
    np.bitwise_or.at(dots, cells, np.asarray(DOTS, np.uint8)[down % 4, across % 2])
    if signs:
        letters = np.asarray(list(SIGNS + "·"))
        drawn = np.where(dots > 0, letters[np.where(best < 0, len(SIGNS), best % len(SIGNS))], " ")
    else:
        drawn = np.where(dots > 0, (0x2800 + dots.astype(np.uint32)).view("<U1"), " ")
    return Grid(drawn.reshape(height, width), np.where(dots > 0, best, -1).reshape(height, width))


def inside(window: Window, x: Any, y: Any, width: int, height: int, box: tuple[int, int, int, int]) -> Any:
    """The points in a box of cells: its left, top, right and bottom cell, all of them included."""
    import numpy as np

    columns, rows = place(window, x, y, width, height)
    left, top, right, bottom = min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]), max(box[1], box[3])
    return np.flatnonzero((columns >= left) & (columns <= right + 1) & (rows >= top) & (rows <= bottom + 1))


def nearest(window: Window, x: Any, y: Any, width: int, height: int, column: int, row: int) -> int:
    """The point nearest to the middle of a cell as the eye sees it (a cell is twice as high as it is wide)."""
    columns, rows = place(window, x, y, width, height)
    return int(((columns - column - 0.5) ** 2 + (2 * (rows - row - 0.5)) ** 2).argmin())
