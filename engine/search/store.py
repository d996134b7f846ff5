"""The files of an index: passages in Arrow, vectors beside them, words in :mod:`engine.search.words`; all mapped.

While it is built there is one Arrow file for each chunk of rows, written whole or not at all.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from engine.errors import DataError
from engine.paths import write_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.search.passages import Passage

CHUNKS, PASSAGES, PLACES, VECTORS = "chunks", "passages.arrow", "places.npy", "vectors.npy"
LISTS, WORDS, FACTS = "lists", "words", "index.json"
VERSION = 2


def write_chunk(file: Path, found: list[Passage], vectors: Any) -> None:
    """A chunk's passages and vectors, in one file that is there whole or not at all."""
    import pyarrow as pa

    table = pa.table(
        {
            "split": pa.array([passage.split for passage in found], pa.string()),
            "row": pa.array([passage.row for passage in found], pa.int64()),
            "piece": pa.array([passage.piece for passage in found], pa.int32()),
            "fields": pa.array([[text for text, _ in passage.fields] for passage in found], pa.list_(pa.string())),
            "weights": pa.array([[weight for _, weight in passage.fields] for passage in found], pa.list_(pa.float32())),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel(), pa.float32()), vectors.shape[1]),
        }
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    with pa.OSFile(str(temporary), "wb") as out, pa.ipc.new_file(out, table.schema) as writer:
        writer.write_table(table)
    temporary.replace(file)


def read_chunk(file: Path) -> Any:
    """The table of a chunk. Raises ``OSError`` or pyarrow's ``ValueError`` for a damaged one."""
    import pyarrow as pa

    with pa.memory_map(str(file)) as source:
        return pa.ipc.open_file(source).read_all()


def merge(files: list[Path], folder: Path, dimension: int) -> tuple[int, list[str]]:
    """Write passages, places and vectors from the chunks, in their order; returns how many passages, and the splits by
    the numbers that ``places.npy`` knows them by (a row of it: split, row, piece)."""
    import numpy as np
    import pyarrow as pa

    tables = [read_chunk(file) for file in files]
    count = sum(len(table) for table in tables)
    vectors = np.lib.format.open_memmap(folder / VECTORS, mode="w+", dtype=np.float32, shape=(count, dimension))
    places = np.zeros((count, 3), dtype=np.int64)
    splits: dict[str, int] = {}
    at = 0
    with pa.OSFile(str(folder / PASSAGES), "wb") as out:
        writer = None
        for table in tables:
            texts = table.select(["fields", "weights"])
            writer = writer or pa.ipc.new_file(out, texts.schema)
            writer.write_table(texts)
            here = slice(at, at + len(table))
            vectors[here] = np.asarray(table["vector"].combine_chunks().flatten()).reshape(-1, dimension)
            places[here, 0] = [splits.setdefault(split, len(splits)) for split in table["split"].to_pylist()]
            places[here, 1], places[here, 2] = np.asarray(table["row"]), np.asarray(table["piece"])
            at += len(table)
        if writer:
            writer.close()
    vectors.flush()
    np.save(folder / PLACES, places)
    return count, list(splits)


def fields(folder: Path) -> Iterator[list[tuple[str, float]]]:
    """The weighted texts of each passage, in order."""
    import pyarrow as pa

    with pa.memory_map(str(folder / PASSAGES)) as source:
        reader = pa.ipc.open_file(source)
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            for texts, weights in zip(batch["fields"].to_pylist(), batch["weights"].to_pylist(), strict=True):
                yield list(zip(texts, weights, strict=True))


def write_facts(folder: Path, **facts: Any) -> None:
    """Written last: a folder with facts is a whole index."""
    write_json(folder / FACTS, {"version": VERSION, **facts})


def is_whole(folder: Path) -> bool:
    """Whether ``folder`` holds a finished index that this version reads."""
    try:
        return bool(json.loads((folder / FACTS).read_text("utf-8"))["version"] == VERSION)
    except (OSError, ValueError, KeyError):
        return False


class Files:
    """A finished index, open for reading."""

    def __init__(self, folder: Path) -> None:
        """Raises ``DataError`` for a damaged index, or one of an earlier version."""
        import numpy as np
        import pyarrow as pa

        from engine.search.lists import Lists
        from engine.search.words import Words

        if not is_whole(folder):
            raise DataError(
                f"The index in {folder.name} can't be read: it is damaged, or of an earlier version.", "Build it again: index NAME --rebuild"
            )
        try:
            self.folder = folder
            self.facts: dict[str, Any] = json.loads((folder / FACTS).read_text("utf-8"))
            with pa.memory_map(str(folder / PASSAGES)) as source:
                self._table = pa.ipc.open_file(source).read_all()
            self._vectors = np.load(folder / VECTORS, mmap_mode="r")
            self._lists = Lists(folder / LISTS) if (folder / LISTS).is_dir() else None
            self.splits: list[str] = self.facts["splits"]
            self.split, self.row, self.piece = np.load(folder / PLACES).T
            self.words = Words(folder / WORDS)
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"The index in {folder.name} can't be read: {error}.", "Build it again: index NAME --rebuild") from None

    def __len__(self) -> int:
        return len(self.row)

    def vector(self, number: Any) -> Any:
        """The vector of a passage, or the vectors (one a row) of an array of them: numbers, or a mask over all."""
        if self._lists is None:
            return self._vectors[number]
        return self._vectors[self._lists.places[number]]

    def scores(self, vector: Any) -> Any:
        """The cosine of every passage with ``vector``: float32, exact."""
        found = self._vectors @ vector
        return found if self._lists is None else found[self._lists.places]

    def near(self, vector: Any, count: int) -> tuple[Any, Any] | None:
        """The passages among which the ``count`` nearest to ``vector`` are, nearly always, in the order of the data,
        and their cosines. None for an index without lists, which is quick to scan."""
        return self._lists.near(self._vectors, vector, count) if self._lists is not None else None

    def text(self, number: int) -> str:
        """What passage ``number`` says."""
        return "\n".join(self._table["fields"][number].as_py())

    def fields(self, number: int) -> list[tuple[str, float]]:
        """The texts of passage ``number``, each with its weight."""
        return list(zip(self._table["fields"][number].as_py(), self._table["weights"][number].as_py(), strict=True))

    def key(self, number: int) -> tuple[str, int]:
        """The row of passage ``number``: split and row."""
        return self.splits[self.split[number]], int(self.row[number])
