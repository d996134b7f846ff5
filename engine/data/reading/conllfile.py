"""Files of tagged words, a word a line (CoNLL, IOB, CoNLL-U), as JSON lines: a sentence becomes a row of lists."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from engine.data.reading import encoding
from engine.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.jobs.context import JobContext

NAMES = {2: ("tokens", "tags"), 3: ("tokens", "pos_tags", "tags"), 4: ("tokens", "pos_tags", "chunk_tags", "ner_tags")}
"""Columns by how many a line has; four are those of CoNLL-2003."""
UNIVERSAL = {1: "tokens", 2: "lemmas", 3: "upos", 4: "xpos"}
"""The columns of CoNLL-U that are kept, by their place."""
OFTEN = 10_000
"""Lines between looks at whether a stop was asked for."""


def rewrite(job: JobContext, path: Path, copy: Path, given: str = "") -> tuple[str, ...]:
    """Write the sentences of ``path`` into ``copy``, as JSON lines; returns the columns. ``given`` is an
    encoding. Raises ``DataError`` with the line whose number of columns differs; ``Stopped``."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    places: dict[int, str] = {}
    with copy.open("w", encoding="utf-8") as out:
        for number, fields in _sentences(job, path, encoding.find(job, path, given)):
            places = places or _places(path, number, fields[0])
            for at, line in enumerate(fields):
                if len(line) != len(fields[0]) or max(places) >= len(line):
                    raise DataError(
                        f"{path.name}, line {number + at}: {len(line)} columns, where others have {len(fields[0])}.",
                        "A line holds a word and its tags, with a tab or a space between them; an empty line ends a sentence.",
                    )
            # CoNLL-U: 3-4 is two words written as one, and 5.1 a word that is not there.
            kept = [line for line in fields if places.get(0) or line[0].isdigit()]
            out.write(json.dumps({name: [line[place] for line in kept] for place, name in places.items()}, ensure_ascii=False) + "\n")
    return tuple(places.values())


def _places(path: Path, number: int, line: list[str]) -> dict[int, str]:
    """The columns that are kept, by their place in a line."""
    if len(line) == 10 and line[0].replace("-", "").replace(".", "").isdigit():
        return UNIVERSAL
    if len(line) < 2:
        raise DataError(f"{path.name}, line {number}: one column.", "A line holds a word and its tag, with a tab or a space between them.")
    return dict(enumerate(NAMES.get(len(line), ("tokens", *(f"column_{at}" for at in range(1, len(line) - 1)), "tags"))))


def _sentences(job: JobContext, path: Path, written: str) -> Iterator[tuple[int, list[list[str]]]]:
    """The number of a sentence's first line, and its lines in columns; without comments and marks of documents."""
    lines: list[list[str]] = []
    first = 1
    width = 0
    with path.open(encoding=written, errors="replace") as file:
        for number, line in enumerate(file, 1):
            if number % OFTEN == 0:
                job.check()
            fields = line.rstrip("\n").split("\t") if "\t" in line else line.split()
            if not any(fields):
                if lines:
                    yield first, lines
                lines = []
            elif not _aside(fields, width):
                first = number if not lines else first
                width = width or len(fields)
                lines.append(fields)
    if lines:
        yield first, lines


def _aside(fields: list[str], width: int) -> bool:
    """Whether a line begins a document or is a comment: one that has as many columns as the words is a word."""
    return fields[0] == "-DOCSTART-" or (fields[0].startswith("#") and (len(fields) != width or "=" in fields[1:2]))
