"""A waveform in braille: two columns and four rows of dots to a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


def wave(peaks: Sequence[tuple[float, float]], width: int, height: int) -> list[str]:
    """``height`` lines of ``width`` cells; each column of dots goes from the lowest to the highest sample of its span.

    A quiet sound is drawn larger, so that its form is seen.
    """
    if not peaks or width < 1 or height < 1:
        return []
    loudest = max(max(abs(low), abs(high)) for low, high in peaks) or 1.0
    across, down = width * 2, height * 4
    grid = [[0] * width for _ in range(height)]
    for x in range(across):
        first = x * len(peaks) // across
        span = peaks[first : max(first + 1, (x + 1) * len(peaks) // across)]
        top, bottom = (_dot(value / loudest, down) for value in (max(high for _, high in span), min(low for low, _ in span)))
        for y in range(top, bottom + 1):
            grid[y // 4][x // 2] |= DOTS[y % 4][x % 2]
    return ["".join(chr(0x2800 + cell) for cell in line) for line in grid]


def _dot(value: float, down: int) -> int:
    """The row of dots, counted from the top, that a value between -1 and 1 stands in."""
    return min(down - 1, max(0, round((1 - value) / 2 * (down - 1))))
