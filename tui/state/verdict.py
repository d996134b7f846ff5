"""What the screen of runs knows: which are marked, and what was found about them. Cells come formatted from the engine."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

MOST = 500
"""Rows in a list; `--json` has all of them."""
WIDEST = 32
IDS = re.compile(r"(\d+(?:,\d+)+)(?:\+(.*))?")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(slots=True)
class VerdictView:
    """``marked`` are numbers of runs, the first is what the others are held against."""

    runs: list[dict[str, Any]] = field(default_factory=list)
    marked: list[str] = field(default_factory=list)
    only: str = ""
    """The dataset whose runs are listed; empty for all."""
    by: str = ""
    compared: dict[str, Any] = field(default_factory=dict)
    sliced: dict[str, Any] = field(default_factory=dict)
    worst: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def named(cls, name: str) -> VerdictView:
        """``name`` is numbers of runs (``3,4``, or ``3,4+label`` with slices), a dataset, or empty."""
        if found := IDS.fullmatch(name):
            return cls(marked=found[1].split(","), by=found[2] or "")
        return cls(only=name)

    def toggle(self, run: str) -> None:
        """Mark a run, or take its mark away. A run on other rows than the marked ones begins a new comparison."""
        if run in self.marked:
            self.marked.remove(run)
            return
        if self.marked and self._rows(run) != self._rows(self.marked[0]):
            self.marked.clear()
        self.marked.append(run)

    def shown(self, cursor: str) -> str:
        """The run whose worst rows are shown: the last of the marked, else the one under the cursor."""
        return self.marked[-1] if self.marked else cursor

    def letter(self, run: str) -> str:
        return LETTERS[self.marked.index(run) % len(LETTERS)] if run in self.marked else " "

    def figures(self, run: str) -> list[str]:
        """The figures of one run with their intervals, a line each."""
        metrics: dict[str, Any] = next((item["metrics"] for item in self.runs if item["run"] == run), {})
        between = metrics.get("intervals", {})
        rows = [
            [name.replace("_", " "), f"{value:.4g}", "{:.4g} to {:.4g}".format(*between[name]) if name in between else ""]
            for name, value in metrics.items()
            if isinstance(value, (int, float))
        ]
        return aligned({"columns": ["figure", "value", "95% interval"], "rows": rows})

    @property
    def flips(self) -> list[dict[str, Any]]:
        """Rows that flipped between the first run and the second."""
        return list(self.compared.get("data", {}).get("flipped", []))

    @property
    def stale(self) -> bool:
        """Whether addresses may mean other rows by now."""
        return bool((self.worst or self.compared).get("data", {}).get("stale"))

    def _rows(self, run: str) -> tuple[str, ...]:
        found = next((item for item in self.runs if item["run"] == run), {})
        return tuple(str(found.get(name)) for name in ("dataset", "split", "task"))


def aligned(table: dict[str, Any] | None) -> list[str]:
    """A table as lines of columns that stand below each other, the first line its heading. A verdict stands beside what it
    is about, so that a narrow screen has it."""
    if not table:
        return []
    lines = [[" ".join(str(cell).split())[:WIDEST] for cell in row] for row in [table["columns"], *table["rows"]]]
    if lines[0][-1] == "verdict":
        lines = [[*line[:1], line[-1], *line[1:-1]] for line in lines]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
