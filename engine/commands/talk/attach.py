"""Attaching rows, files and search results to what is said next."""

from __future__ import annotations

import json
import mimetypes
from pathlib import Path
from typing import Any

from engine.commands.base import Desk, Field, Now
from engine.commands.talk.attached import keep_picture
from engine.commands.talk.speaking import current
from engine.errors import BitternError, NotFound
from engine.events import CatalogChanged
from engine.results import Result, Table

LONGEST = 200_000
"""Characters of one attachment; a model's window holds far less of it anyhow."""


class Attach(Now):
    """Let a row (a search result is one), a text file or a picture go along with what is said next. With nothing, list what will.

    The model is sent text as a quotation; pictures, those of a row too, only a model that sees can be sent. It is read now:
    what becomes of the row or the file later does not matter.
    """

    verb = "attach"
    effect = "write"
    words = ("what",)
    rest = True
    completes = {"what": "datasets", "session": "sessions"}
    examples = ("attach tickets/train/12", "attach notes.md", "attach heron.jpg", "attach", "attach --remove 1", "attach --none")

    what: str = Field("", description="A row's address (NAME/SPLIT/ROW), or a file")
    remove: int = Field(0, ge=0, description="Take one off again, by its number")
    none: bool = Field(False, description="Take all off")
    session: str = Field("", description="Which conversation (the current one)")

    def run(self, desk: Desk) -> Result:
        from engine.commands.lengths import lengths

        session = current(desk, self.session)
        item = _read(desk, self.what.strip()) if self.what.strip() else None

        def change(settings: dict[str, Any]) -> None:
            attached = [] if self.none else settings.get("attached", [])
            if self.remove > len(attached):
                raise NotFound(f"There is no attachment {self.remove}.", "`attach` lists them.")
            if self.remove:
                attached.pop(self.remove - 1)
            if item and item not in attached:
                attached.append(item)
            settings["attached"] = attached

        if item or self.remove or self.none:
            attached = desk.workspace.sessions.change(session, change)["attached"]
            desk.publish(CatalogChanged(what="sessions", name=session))
        else:
            attached = desk.workspace.sessions.settings(session).get("attached", [])
        counted = lengths(desk.workspace, [entry["text"] for entry in attached]) if attached else None
        tokens = [f"{count:,}" if count else "" for count in (counted.tokens if counted else [0] * len(attached))]
        rows = [
            [str(number), entry["kind"], entry["name"], f"{len(entry['text']):,}" if entry["text"] else "", tokens[number - 1]]
            for number, entry in enumerate(attached, start=1)
        ]
        told = f"{len(rows)} attached: {'it goes' if len(rows) == 1 else 'they go'} along with what is said next." if rows else "Nothing is attached."
        return Result(told, {"session": session, "attached": attached}, Table(["", "kind", "name", "characters", "tokens"], rows) if rows else None)


def _read(desk: Desk, what: str) -> dict[str, Any]:
    """``kind``, ``name`` and ``text`` of a row or a file. Raises ``BitternError``."""
    address = what.removeprefix("dataset:").strip("/")
    if desk.workspace.datasets.find(address.partition("/")[0]) and not Path(what).is_file():
        return _row(desk, address)
    return _file(desk, what)


def _row(desk: Desk, address: str) -> dict[str, Any]:
    from engine.data.looking.shown import first_picture
    from engine.data.rows import check_split, parse_address, window

    name, split, index = parse_address(address)
    record = desk.workspace.datasets.get(name)
    check_split(record, split)
    found = window(record, split, index, 1)
    if not found:
        raise NotFound(f"{name}/{split} has no row {index}.", f"Its rows are 0 to {record.splits[split] - 1}.")
    lines = [f"{column}: {text}" for column, value in found[0].items() if (text := _as_text(value))]
    item = {"kind": "row", "name": address, "text": "\n".join(lines)[:LONGEST]}
    if raw := first_picture(record, split, index):
        item["image"] = keep_picture(desk.workspace.paths, raw, address)
    return item


def _as_text(value: Any) -> str:
    """A cell in words; nothing for an empty one, and for bytes."""
    if value is None or isinstance(value, bytes) or (isinstance(value, dict) and isinstance(value.get("bytes"), bytes)):
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _file(desk: Desk, what: str) -> dict[str, Any]:
    path = Path(what).expanduser()
    if not path.is_file():
        raise NotFound(
            f"“{what}” is neither a row's address nor a file.", "A row is NAME/SPLIT/ROW, for example guide/train/0; `datasets` lists the names."
        )
    if (mimetypes.guess_type(path.name)[0] or "").startswith("image/") and path.suffix != ".svg":
        return {"kind": "image", "name": path.name, "text": "", "image": keep_picture(desk.workspace.paths, path.read_bytes(), path.name)}
    try:
        with path.open("rb") as file:
            raw = file.read(LONGEST * 4 + 1)
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BitternError(f"{path.name} is not a text file (UTF-8).", "Attach text or a picture.") from None
    except OSError as error:
        raise BitternError(f"{path} can't be read: {error.strerror}.", "Choose another file.") from None
    if len(text) > LONGEST:
        raise BitternError(f"{path.name} is longer than {LONGEST:,} characters.", "`add` it as a dataset, and `ask` it or attach rows of it.")
    return {"kind": "file", "name": path.name, "text": text}
