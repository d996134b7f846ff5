"""The rows under a check: read once in windows; what stays in memory is a few numbers for each, and texts are read again when wanted."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from engine.data.rows import window
from engine.data.shape import as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from engine.jobs.context import JobContext
    from engine.store.datasets import DatasetRecord

BATCH = 2000
NEAR = 16
"""Rows that are passed over are cheaper than another look, up to so many."""
HELD_OUT = ("validation", "valid", "val", "dev", "eval", "heldout")


@dataclass(frozen=True, slots=True)
class Side:
    """A split of the dataset that is checked, or of the one it is held against (``own`` is false)."""

    record: DatasetRecord
    split: str
    own: bool

    @property
    def weight(self) -> int:
        """Which side of a leak stays: the other dataset, then the test rows, then what else is held out, then the rest."""
        name = self.split.lower()
        return 3 if not self.own else 2 if name == "test" else 1 if name in HELD_OUT else 0


@dataclass(slots=True)
class Batch:
    """Rows as they pass by: ``first`` is the number of the first in the corpus."""

    first: int
    texts: list[str]
    own: bool


@dataclass
class Corpus:
    """``side[i]`` and ``row[i]`` say where row ``i`` lives; ``digest[i]`` is of its text (0: no text), ``label[i]`` a
    number for its label, -1 for none."""

    sides: list[Side]
    starts: list[int]
    side: Any = None
    row: Any = None
    digest: Any = None
    label: Any = None
    labels: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, dataset: DatasetRecord, other: DatasetRecord | None) -> Corpus:
        sides = [Side(dataset, split, True) for split in dataset.splits]
        sides += [Side(other, split, False) for split in other.splits] if other else []
        starts = [0]
        for side in sides:
            starts.append(starts[-1] + side.record.splits[side.split])
        return cls(sides, starts)

    def __len__(self) -> int:
        return self.starts[-1]

    def read(self, job: JobContext, each: Callable[[Batch], None]) -> None:
        """Pass every row once, and keep its numbers. Raises ``DataError``, ``Stopped``."""
        import numpy as np

        total = len(self)
        self.side = np.repeat(np.arange(len(self.sides), dtype=np.int16), np.diff(self.starts))
        self.row = np.arange(total, dtype=np.int64) - np.asarray(self.starts, dtype=np.int64)[self.side]
        self.digest = np.zeros(total, np.uint64)
        self.label = np.full(total, -1, np.int32)
        numbers: dict[str, int] = {}
        for batch, labels in self._windows():
            job.check()
            end = batch.first + len(batch.texts)
            self.digest[batch.first : end] = [digest(text) for text in batch.texts]
            self.label[batch.first : end] = [-1 if label is None else numbers.setdefault(label, len(numbers)) for label in labels]
            each(batch)
            job.progress(end, total, "rows", "reading")
        self.labels = list(numbers)

    def _windows(self) -> Iterator[tuple[Batch, list[str | None]]]:
        for side, start in zip(self.sides, self.starts[:-1], strict=True):
            label = side.record.columns.get("label", "")
            for first in range(0, side.record.splits[side.split], BATCH):
                found = window(side.record, side.split, first, BATCH)
                labels = [None if not label or row.get(label) is None else str(row[label]) for row in found]
                yield Batch(start + first, [text_of(side.record, row) for row in found], side.own), labels

    def texts(self, numbers: Iterable[int]) -> dict[int, str]:
        """The texts of some rows, read again: rows that lie near each other with one look."""
        found: dict[int, str] = {}
        run: list[int] = []
        for number in sorted(set(numbers)):
            if run and (number - run[-1] > NEAR or number - run[0] >= BATCH or self.side[number] != self.side[run[0]]):
                found |= self._run(run)
                run = []
            run.append(number)
        return found | self._run(run) if run else found

    def _run(self, numbers: list[int]) -> dict[int, str]:
        side = self.sides[self.side[numbers[0]]]
        first = int(self.row[numbers[0]])
        rows = window(side.record, side.split, first, numbers[-1] - numbers[0] + 1)
        return {number: text_of(side.record, rows[number - numbers[0]]) for number in numbers}

    def address(self, number: int) -> str:
        side = self.sides[self.side[number]]
        return f"{side.record.name}/{side.split}/{self.row[number]}"

    def place(self, number: int) -> tuple[str, int]:
        return self.sides[self.side[number]].split, int(self.row[number])

    def label_of(self, number: int) -> str:
        return self.labels[self.label[number]] if self.label[number] >= 0 else ""

    @cached_property
    def own(self) -> Any:
        """Which rows are the dataset's own."""
        import numpy as np

        return np.asarray([side.own for side in self.sides], bool)[self.side]

    @cached_property
    def weight(self) -> Any:
        import numpy as np

        return np.asarray([side.weight for side in self.sides], np.int8)[self.side]


def text_of(record: DatasetRecord, row: dict[str, Any]) -> str:
    """What two rows are compared by: their text; in a table, all that is in them but pictures and sounds."""
    if record.shape != "table":
        return as_text(record, row)
    return as_text(record, {name: value for name, value in row.items() if not _media(record.features.get(name, ""))})


def _media(kind: str) -> bool:
    return any(word in kind.lower() for word in ("image", "audio", "video", "binary"))


def folded(text: str) -> str:
    """``text`` without what never counts: case, the width of spaces, the way a letter is encoded."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def digest(text: str) -> int:
    """A number for the text, the same for texts that differ by case and spaces alone; 0 for no text."""
    words = folded(text)
    if not words:
        return 0
    return int.from_bytes(blake2b(words.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little") or 1
