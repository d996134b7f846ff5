"""Doing a step: from a dataset as it is to a folder with the dataset as it shall be, and its record."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from engine.data import shape
from engine.data.lineage import columns, edit, pick, steps
from engine.data.rows import Batches, open_folder, split_folder
from engine.data.shards import Form, SplitWriter, link_split, rows_at_once
from engine.data.sql import Sql
from engine.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    import pyarrow as pa

    from engine.data.shards import Pace
    from engine.store.datasets import DatasetRecord

SAMPLE = 100
"""Rows looked at, at the start and in the middle, to recognise the shape."""


def apply(record: DatasetRecord, step: steps.Step, ready: Path, fingerprint: str, pace: Pace, others: list[DatasetRecord]) -> DatasetRecord | None:
    """Write what ``step`` makes of ``record`` into the folder ``ready`` and describe it; ``None`` when it changes nothing.

    ``others`` are the datasets that a ``Concat`` names. Raises ``BitternError`` or ``Stopped``.
    """
    make = Making(record, ready, fingerprint, pace)
    match step:
        case steps.Edit():
            done = make.edited(step)
        case steps.Rename() | steps.Drop() | steps.Map() | steps.Cast():
            done = make.with_columns(step)
        case steps.Concat():
            done = make.joined(step, others)
        case steps.Start():
            raise DataError("A start is no step.", "Import the source again.")
        case _:
            done = make.picked(_plan(record, step, pace))
    return make.described(step) if done else None


class Making:
    """One version on its way: ``splits`` counts what has been written."""

    def __init__(self, record: DatasetRecord, ready: Path, fingerprint: str, pace: Pace) -> None:
        self.record, self.ready, self.fingerprint, self.pace = record, ready, fingerprint, pace
        self.splits: dict[str, int] = {}
        self._size = rows_at_once(record.bytes, record.rows)

    def picked(self, plan: pick.Plan) -> bool:
        """Write the rows of a plan; a split without rows is left out."""
        record = self.record
        if list(plan) == list(record.splits) and all(pick.whole(split, pieces) for split, pieces in plan.items()):
            return False
        counts = {split: sum(record.splits[old] if rows is None else len(rows) for old, rows in pieces) for split, pieces in plan.items()}
        if not sum(counts.values()):
            raise DataError(f"No row of {record.name} would be left.", "Look at what matches first: show … --count 20.")
        self._total = sum(counts.values())
        for split, pieces in plan.items():
            if pick.whole(split, pieces):
                self._link(split)
            elif counts[split]:
                self._write(split, self._form(pieces[0][0]), (batch for old, rows in pieces for batch in self._rows(old, rows)))
        return True

    def with_columns(self, step: steps.Rename | steps.Drop | steps.Map | steps.Cast) -> bool:
        """Write the same rows with other columns."""
        record = self.record
        self._total = record.rows
        check_columns_of(record, step)
        if isinstance(step, (steps.Rename, steps.Drop)):
            for split in record.splits:
                form = self._form(split)
                if isinstance(step, steps.Drop):
                    kept = [name for name in form.features if name not in step.columns]
                    self._write(split, form.only(kept), (batch.select(kept) for batch in self._batches(split).batches))
                else:
                    self._write(split, form.renamed(step.old, step.new), self._batches(split).batches)
            return True
        with Sql([record]) as sql:
            for split in record.splits:
                batches = self._batches(split)
                computed = columns.mapped if isinstance(step, steps.Map) else columns.cast
                column = computed(sql, record, split, step, self.pace)  # type: ignore[arg-type]
                form = self._form(split).with_column(column.name, column.kind, column.feature)
                self._write(split, form, columns.beside(batches, form, column))
        return True

    def joined(self, step: steps.Concat, others: list[DatasetRecord]) -> bool:
        """Write the rows of every dataset, split by split."""
        every = [self.record, *others]
        self._total = sum(record.rows for record in every)
        forms = [(record.name, self._form(split, record)) for record in every for split in record.splits]
        form = columns.joined(forms, step)
        for split in dict.fromkeys(split for record in every for split in record.splits):
            parts = (self._batches(split, record) for record in every if split in record.splits)
            self._write(split, form, (columns.conform(batch, form) for part in parts for batch in part.batches))
        return True

    def edited(self, step: steps.Edit) -> bool:
        """Write the one piece that holds the cell."""
        record = self.record
        self._total = record.rows
        if isinstance(step, steps.Label) and step.column not in record.features:
            self._write_label(step)
            return True
        pick.check_columns(record, [step.column])
        pick.splits_of(record, step.split)
        if self._batches(step.split).window(step.row, 1)[0][step.column] == step.value:
            return False
        for split in record.splits:
            if split == step.split:
                edit.replaced(split_folder(record, split), self.ready / split, step, self.fingerprint)
                self.splits[split] = record.splits[split]
            else:
                self._link(split)
        return True

    def described(self, step: steps.Step) -> DatasetRecord:
        """The record of what was written: its columns, its shape, its size."""
        made = replace(
            self.record, folder=str(self.ready), fingerprint=self.fingerprint, splits=self.splits,
            bytes=sum(file.stat().st_size for file in self.ready.rglob("*") if file.is_file()),
        )  # fmt: skip
        first_label = isinstance(step, steps.Label) and self.record.shape == "text"
        if isinstance(step, steps.Edit) and step.column in self.record.features and not first_label:
            return made  # Its columns are as they were: the files need not be opened, which is most of an edit's time.
        first = next(iter(self.splits))
        opened = Batches(self.ready / first)
        said = dict(self.record.features)
        if isinstance(step, steps.Rename):
            made = columns.with_roles_renamed(made, step.old, step.new)
            said[step.new] = said[step.old]
        features = Form.read(self.ready / first, opened).words(self._known(), said)
        sample = opened.window(0, SAMPLE) + opened.window(max(SAMPLE, opened.rows // 2), SAMPLE)
        kind, roles = _shape(made, features, sample, step)
        return replace(made, features=features, shape=kind, columns=roles)

    def _known(self) -> dict[str, object]:
        return self._form(next(iter(self.record.splits))).features

    def _write_label(self, step: steps.Label) -> None:
        import pyarrow as pa

        for split in self.record.splits:
            form = self._form(split).with_column(step.column, pa.string(), {"dtype": "string", "_type": "Value"})

            def labelled(split: str = split, form: Form = form) -> Iterator[pa.RecordBatch]:
                at = 0
                for batch in self._batches(split).batches:
                    here = step.row - at if split == step.split else -1
                    values = [step.value if number == here else None for number in range(batch.num_rows)] if 0 <= here < batch.num_rows else None
                    column = pa.array(values, pa.string()) if values else pa.nulls(batch.num_rows, pa.string())
                    yield pa.RecordBatch.from_arrays([*batch.columns, column], schema=form.schema)
                    at += batch.num_rows

            self._write(split, form, labelled())

    def _write(self, split: str, form: Form, batches: Iterable[pa.RecordBatch]) -> None:
        done = sum(self.splits.values())
        with SplitWriter(self.ready / split, form, f"{self.fingerprint}{split}") as writer:
            for batch in batches:
                self.pace.check()
                writer.write(batch)
                self.pace.progress(done + writer.rows, self._total, "rows", "writing")
        self.splits[split] = writer.rows

    def _link(self, split: str) -> None:
        link_split(split_folder(self.record, split), self.ready / split)
        self.splits[split] = self.record.splits[split]

    def _rows(self, split: str, rows: object) -> Iterable[pa.RecordBatch]:
        batches = self._batches(split)
        return batches.batches if rows is None else pick.taken(batches, rows, self._size)  # type: ignore[arg-type]

    def _batches(self, split: str, record: DatasetRecord | None = None) -> Batches:
        return open_folder(split_folder(record or self.record, split))

    def _form(self, split: str, record: DatasetRecord | None = None) -> Form:
        record = record or self.record
        return Form.read(split_folder(record, split), self._batches(split, record))


def _plan(record: DatasetRecord, step: steps.Step, pace: Pace) -> pick.Plan:
    match step:
        case steps.Filter():
            return pick.filtered(record, step, pace)
        case steps.Sample():
            return pick.sampled(record, step)
        case steps.Shuffle():
            return pick.shuffled(record, step)
        case steps.Divide():
            return pick.divided(record, step)
        case steps.Dedupe():
            return pick.deduped(record, step, pace)
    raise DataError(f"There is no step “{step.kind}”.", "Update Bittern.")


def check_columns_of(record: DatasetRecord, step: steps.Rename | steps.Drop | steps.Map | steps.Cast) -> None:
    """Raises ``DataError`` for names that can't be used."""
    if isinstance(step, steps.Rename):
        pick.check_columns(record, [step.old])
        if step.new in record.features:
            raise DataError(
                f"{record.name} has a column “{step.new}” already.", f"Drop it first, or choose another name: drop {record.name} {step.new}"
            )
    if isinstance(step, steps.Drop):
        pick.check_columns(record, step.columns)
        if set(step.columns) >= set(record.features):
            raise DataError(f"No column of {record.name} would be left.", f"To remove the dataset: forget {record.name}")
    new = step.new if isinstance(step, steps.Rename) else step.column if isinstance(step, steps.Map) else "x"
    if not new.strip() or new in ("_split", "_row"):
        raise DataError(f"A column can't be called “{new}”.", "Choose a name of letters, digits and underscores.")


def _shape(record: DatasetRecord, features: dict[str, str], sample: list[dict[str, object]], step: steps.Step) -> tuple[str, dict[str, str]]:
    """The shape stays while its columns do; otherwise it is recognised anew. A label makes a text a labelled one, and so may
    another column that becomes a part of it by its new type."""
    changed = step.column if isinstance(step, (steps.Map, steps.Cast)) else ""
    stands = all(column in features for column in record.columns.values()) and changed not in record.columns.values()
    if isinstance(step, steps.Label) and record.shape == "text" and stands:
        return "classification", {**record.columns, "label": step.column}
    if isinstance(step, steps.Cast) and record.shape in ("table", "text"):
        kind, roles = shape.recognise(features, sample)
        if {*record.columns.values(), step.column} <= set(roles.values()):
            return kind, roles
    if stands and (record.shape != "table" or set(features) <= set(record.features)):
        return record.shape, record.columns
    found: Callable[..., tuple[str, dict[str, str]]] = shape.recognise
    return found(features, sample)
