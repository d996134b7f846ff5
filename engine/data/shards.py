"""Writing a split: a ``save_to_disk`` folder that both our own reader and ``datasets`` open, batch by batch.

Written by hand, so that a small change need not wait for the import of ``datasets``. What Arrow alone can't say of a
column (JSON, pictures, sounds) is its *feature*, and is kept beside the type.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from engine.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import TracebackType

    import pyarrow as pa

    from engine.data.rows import Batches
    from engine.jobs.context import CancelToken

SHARD = 256 << 20
"""Bytes of a file, after which the next one is begun."""
BATCH = 8 << 20
"""Bytes of a batch: what is in memory at once, as far as whole rows allow."""


class Pace(Protocol):
    """Where long work looks whether it should stop, and says how far it is; a ``JobContext`` is one."""

    @property
    def token(self) -> CancelToken: ...

    def check(self) -> None: ...

    def progress(self, done: float, total: float | None, unit: str, note: str = "") -> None: ...


@dataclass(frozen=True)
class Form:
    """The columns of a split: their Arrow types, their features, and what else is known of the dataset."""

    schema: pa.Schema
    features: dict[str, Any]
    info: dict[str, Any]

    @classmethod
    def read(cls, folder: Path, batches: Batches) -> Form:
        """Raises ``DataError`` for a damaged folder."""
        try:
            info = json.loads((folder / "dataset_info.json").read_text("utf-8"))
            features = {name: info["features"][name] for name in batches.batches[0].schema.names}
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise DataError(f"{folder / 'dataset_info.json'} can't be read: {error}.", "Add the dataset again from its source.") from None
        return cls(batches.batches[0].schema, features, info)

    def only(self, names: Iterable[str]) -> Form:
        """These columns, in this order."""
        import pyarrow as pa

        kept = list(names)
        return Form(pa.schema([self.schema.field(name) for name in kept]), {name: self.features[name] for name in kept}, self.info)

    def renamed(self, old: str, new: str) -> Form:
        import pyarrow as pa

        fields = [field.with_name(new) if field.name == old else field for field in self.schema]
        return Form(pa.schema(fields), {new if name == old else name: feature for name, feature in self.features.items()}, self.info)

    def with_column(self, name: str, kind: pa.DataType, feature: Any) -> Form:
        """With a column of this type: at the end, or in the place of the one of that name."""
        import pyarrow as pa

        field = pa.field(name, kind)
        fields = [field if old.name == name else old for old in self.schema]
        return Form(pa.schema(fields if name in self.features else [*fields, field]), {**self.features, name: feature}, self.info)

    @property
    def full_schema(self) -> pa.Schema:
        """The schema as ``datasets`` writes it, features included."""
        return self.schema.with_metadata({"huggingface": json.dumps({"info": {"features": self.features}})})

    def words(self, known: dict[str, Any], said: dict[str, str]) -> dict[str, str]:
        """Each column's type in plain words; a feature that is as in ``known`` keeps the words in ``said``."""
        return {name: said[name] if name in said and known.get(name) == feature else words(feature) for name, feature in self.features.items()}


def words(feature: Any) -> str:
    """A feature in plain words, as the import says them."""
    if isinstance(feature, list):
        return f"list of {words(feature[0])}"
    kind = feature.get("_type")
    if not isinstance(kind, str):
        return f"struct {{{', '.join(f'{name}: {words(inner)}' for name, inner in feature.items())}}}"
    if kind == "Value":
        return {"large_string": "string", "large_binary": "binary", "string_view": "string"}.get(feature["dtype"], str(feature["dtype"]))
    return f"list of {words(feature['feature'])}" if kind in ("List", "LargeList") else "string" if kind == "ClassLabel" else kind.lower()


def feature_of(kind: pa.DataType) -> Any:
    """The feature of an Arrow type. Raises ``ValueError`` for one that a dataset can't hold."""
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return {kind.field(number).name: feature_of(kind.field(number).type) for number in range(kind.num_fields)}
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return {"feature": feature_of(kind.value_type), "_type": "LargeList" if pa.types.is_large_list(kind) else "List"}
    if pa.types.is_fixed_size_list(kind):
        return {"feature": feature_of(kind.value_type), "length": kind.list_size, "_type": "List"}
    names = {pa.float64(): "float64", pa.float32(): "float32", pa.float16(): "float16"}
    known = (pa.types.is_integer, pa.types.is_boolean, pa.types.is_temporal, pa.types.is_string, pa.types.is_large_string, pa.types.is_binary,
             pa.types.is_large_binary, pa.types.is_decimal)  # fmt: skip
    if kind in names or (any(test(kind) for test in known) and not pa.types.is_interval(kind)):
        said = {"date32[day]": "date32", "date64[ms]": "date64"}.get(str(kind), str(kind))
        return {"dtype": names.get(kind, said), "_type": "Value"}
    if pa.types.is_null(kind):
        return {"dtype": "null", "_type": "Value"}
    raise ValueError(str(kind))


class ArrowFile:
    """One file of record batches, in Arrow's stream format."""

    def __init__(self, path: Path, form: Form) -> None:
        import pyarrow as pa

        self._schema = form.full_schema
        self._sink = pa.OSFile(str(path), "wb")
        self._stream = pa.ipc.new_stream(self._sink, self._schema)

    def write(self, batch: pa.RecordBatch) -> None:
        import pyarrow as pa

        self._stream.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=self._schema))

    @property
    def size(self) -> int:
        return int(self._sink.tell())

    def close(self) -> None:
        self._stream.close()
        self._sink.close()


class SplitWriter:
    """One split's folder: batches in, shards of a bounded size out. What is written counts only after ``with``."""

    def __init__(self, folder: Path, form: Form, fingerprint: str) -> None:
        folder.mkdir(parents=True)
        self._folder, self._form, self._fingerprint = folder, form, fingerprint
        self._files: list[dict[str, Any]] = []
        self._file: ArrowFile | None = None
        self.rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Append rows; their columns must be those of the form, in its order."""
        if self._file is None:
            name = f"data-{len(self._files):05}.arrow"
            self._files.append({"filename": name, "rows": 0})
            self._file = ArrowFile(self._folder / name, self._form)
        self._file.write(batch)
        self._files[-1]["rows"] += batch.num_rows
        self.rows += batch.num_rows
        if self._file.size >= SHARD:
            self._shut()

    def _shut(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> SplitWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._shut()
        if kind is None:
            describe(self._folder, self._form, self._files, self._fingerprint)


def describe(folder: Path, form: Form, files: list[dict[str, Any]], fingerprint: str) -> None:
    """The two JSON files of a split's folder. ``datasets`` takes of ``files`` the names alone; ``rows`` is ours."""
    info = {key: value for key, value in form.info.items() if "size" not in key and key not in ("splits", "download_checksums")}
    state: dict[str, Any] = {
        "_data_files": files, "_fingerprint": fingerprint, "_format_columns": None, "_format_kwargs": {}, "_format_type": None,
        "_output_all_columns": False, "_split": None,
    }  # fmt: skip
    (folder / "dataset_info.json").write_text(json.dumps({**info, "features": form.features}, ensure_ascii=False, indent=1), "utf-8")
    (folder / "state.json").write_text(json.dumps(state, indent=1), "utf-8")


def link(source: Path, target: Path) -> None:
    """The same file under another name; a copy where the file system has no links (or no more of them)."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def link_split(source: Path, target: Path) -> None:
    """The same split in another version: its files are shared, not copied. Nothing ever writes into them again."""
    target.mkdir(parents=True)
    for file in json.loads((source / "state.json").read_text("utf-8"))["_data_files"]:
        link(source / file["filename"], target / file["filename"])
    for name in ("dataset_info.json", "state.json"):
        link(source / name, target / name)


def rows_at_once(size: int, rows: int) -> int:
    """How many rows make a batch, when ``rows`` of them take ``size`` bytes."""
    return int(min(65_536, max(16, BATCH // max(1, size // max(1, rows)))))
