"""Curves of a job by step, drawn as SVG: no script, no font, nothing fetched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.jobs.series import Points, series

if TYPE_CHECKING:
    from pathlib import Path

GROUPS = {
    "Loss": {"loss": "training loss", "eval_loss": "held-out loss"}, "Learning rate": {"learning_rate": "learning rate"},
    "Held-out margin": {"eval_margin": "how much more the chosen answers are preferred than before"},
    "Held-out accuracy": {"eval_accuracy": "held-out accuracy", "eval_tag_accuracy": "right tags", "eval_subset_accuracy": "rows all right"},
    "Held-out F1": {"eval_entity_f1": "entity F1", "eval_micro_f1": "micro F1"},
    "Held-out rank correlation": {"eval_spearman": "Spearman's correlation"}, "Held-out mean error": {"eval_mae": "mean error"},
    "Gradient norm": {"grad_norm": "gradient norm"},
    "Memory in GiB": {"memory_GiB": "held", "peak_memory_GiB": "most so far"},
}  # fmt: skip
"""Charts by their title: the metrics that one holds, and what they are called."""
INKS = ("#1f78b4", "#d95f02")
WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 640, 240, 70, 14, 14, 34
MOST = 500
"""Points of a drawn curve: more can't be told apart."""


@dataclass(frozen=True, slots=True)
class Chart:
    """``curves`` by name: (step, value), in the order of steps."""

    title: str
    curves: dict[str, Points]


def charts(journal_file: Path) -> list[Chart]:
    """The charts of what a job wrote by step. A step that came twice (a resume) counts as it came last."""
    values = series(journal_file)
    found = []
    for title, names in GROUPS.items():
        curves = {told: values[name] for name, told in names.items() if name in values}
        if curves:
            found.append(Chart(title, curves))
    return found


def svg(chart: Chart) -> str:
    """The chart as an SVG element. All text in it is our own."""
    points = [point for curve in chart.curves.values() for point in curve]
    (first, last), (low, high) = _range([step for step, _ in points]), _range([value for _, value in points])

    def place(step: float, value: float) -> tuple[float, float]:
        across = (step - first) / (last - first) * (WIDTH - LEFT - RIGHT)
        return LEFT + across, HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" '
        f'font-family="sans-serif" font-size="11" fill="#777"><title>{chart.title} by step</title>'
    ]
    for part in range(5):
        value = low + (high - low) * part / 4
        y = place(first, value)[1]
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#8884"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>')
    for step in _ticks(first, last):
        parts.append(f'<text x="{place(step, low)[0]:.1f}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{step:,}</text>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end">step</text>')
    for number, (name, curve) in enumerate(chart.curves.items()):
        ink = INKS[number % len(INKS)]
        drawn = [place(*point) for point in _thinned(curve)]
        if len(drawn) > 1:
            line = " ".join(f"{x:.1f},{y:.1f}" for x, y in drawn)
            parts.append(f'<polyline points="{line}" fill="none" stroke="{ink}" stroke-width="1.5"/>')
        if len(drawn) <= 30:
            parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{ink}"/>' for x, y in drawn]
        parts.append(f'<text x="{LEFT + 8 + 130 * number}" y="{HEIGHT - 6}" fill="{ink}">{name}</text>')
    return "".join([*parts, "</svg>"])


def _ticks(first: float, last: float) -> list[int]:
    """About five steps to be named, evenly spaced: whole numbers."""
    return sorted({step for part in range(5) if first <= (step := round(first + (last - first) * part / 4)) <= last})


def _range(values: list[float] | list[int]) -> tuple[float, float]:
    low, high = float(min(values)), float(max(values))
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _thinned(points: Points) -> Points:
    stride = max(1, -(-len(points) // MOST))
    return points if stride == 1 else [*points[:-1:stride], points[-1]]
