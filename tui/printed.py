"""What the command line prints: a job's progress on stderr, a result and its table on stdout."""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from typing import TYPE_CHECKING

from engine import events
from engine.commands.jobs import say
from engine.commands.system import human
from tui.cli import print_json
from tui.state.plot import LETTERS, Line, plain, plot
from tui.text import clean, one_line

if TYPE_CHECKING:
    from engine.results import Chart, Result, Table
    from tui.cli import Options


class Progress:
    """Job events on stderr: one living line in a terminal, a line now and then in a pipe."""

    def __init__(self, options: Options) -> None:
        self._quiet = options.quiet or options.json
        self._living = sys.stderr.isatty()
        self._said = 0.0
        self._open = False

    def tell(self, event: events.Event, title: str) -> None:
        if self._quiet:
            return
        if isinstance(event, events.JobProgress):
            wait = 0.1 if self._living else 5.0
            if time.monotonic() - self._said < wait and event.done != event.total:
                return
            self._said = time.monotonic()
            self._line(f"{clean(title)}: {describe(event)}")
        elif text := say(event):
            if isinstance(event, (events.JobFinished, events.JobFailed)):
                return
            self.note(f"{title}: {text}")

    def note(self, text: str) -> None:
        """A line that stays; nothing for an empty one."""
        if text and not self._quiet:
            self.clear()
            print(clean(text), file=sys.stderr)

    def clear(self) -> None:
        if self._open:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._open = False

    def _line(self, text: str) -> None:
        if self._living:
            sys.stderr.write("\r\x1b[K" + one_line(text, shutil.get_terminal_size().columns - 1))
            sys.stderr.flush()
            self._open = True
        else:
            print(text, file=sys.stderr)


def describe(event: events.JobProgress) -> str:
    """``120 of 400 steps (30%), 2.1 steps/s, 2 min left``."""
    done, total, rate = (
        (human(event.done), human(event.total or 0), human(event.rate or 0))
        if event.unit == "bytes"
        else (f"{event.done:,.0f}", f"{event.total or 0:,.0f} {event.unit}", f"{event.rate or 0:,.3g} {event.unit}")
    )
    parts = [f"{done} of {total} ({event.done / event.total:.0%})" if event.total else done if event.unit == "bytes" else f"{done} {event.unit}"]
    if event.note:
        parts.insert(0, clean(event.note))
    if event.rate:
        parts.append(f"{rate}/s")
    if event.eta is not None:
        parts.append(f"{duration(event.eta)} left")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """``45 s``, ``3 min``, ``1 h 20 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def show(result: Result, options: Options) -> None:
    """A result on stdout."""
    if options.json:
        print_json({"summary": result.summary, **result.data})
        return
    if result.table and result.table.rows:
        print(draw(result.table, shutil.get_terminal_size((120, 24)).columns))
    if result.body:
        print(clean(result.body))
    if result.chart:
        print(chart(result.chart, *shutil.get_terminal_size((120, 24))))
    if result.summary:
        print(clean(result.summary))


def chart(found: Chart, columns: int, rows: int) -> str:
    """Lines in a frame, with letters and no colours; the names of the lines below."""
    letters = LETTERS if len(found.lines) > 1 else " " * len(found.lines)
    lines = [Line(points, letter.strip()) for letter, points in zip(letters, found.lines.values(), strict=False)]
    room = max(8, min(24, rows - 4 - len(lines)))
    names = [one_line(f"{letter} {name}".strip(), columns) for letter, name in zip(letters, found.lines, strict=False)]
    return "\n".join([plain(plot(lines, max(40, columns), room, log=found.log, seconds=found.seconds)), *names])


def _whole(line: str, last: str, widths: list[int]) -> list[str]:
    """A line of a table whose last cell is told whole, below itself where there is no room beside."""
    before = sum(widths[:-1]) + 2 * (len(widths) - 1)
    parts = textwrap.wrap(last, widths[-1])
    return [line[:before] + parts[0], *(" " * before + part for part in parts[1:])] if len(parts) > 1 else [line]


def draw(table: Table, width: int) -> str:
    """A table as plain text; in a terminal too narrow for it, the widest columns give way."""
    rows = [table.columns, *table.rows]
    cells = [[" ".join(clean(cell).split()) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(table.columns))]
    room = max(40, width) - 2 * (len(widths) - 1)
    while sum(widths) > room and max(widths) > 8:
        widest = widths.index(max(widths))
        widths[widest] -= 1
    lines = ["  ".join(one_line(cell, w).ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in cells]
    if table.whole:
        lines = [line for short, row in zip(lines, cells, strict=True) for line in _whole(short, row[-1], widths)]
    if any(table.columns):
        lines.insert(1, "  ".join("─" * w for w in widths))
    else:
        lines.pop(0)
    return "\n".join(lines)
