"""Completion of a half-typed line: verbs, flags, choices, and the workspace's own names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from engine.commands.describe import FieldView, fields, summary
from engine.commands.parse import split
from engine.commands.registry import VERBS, command

if TYPE_CHECKING:
    from collections.abc import Callable


def complete(line: str, names: Callable[[str], list[str]]) -> list[tuple[str, str]]:
    """What the last word of ``line`` may become, each with a word of help; the best first.

    ``names`` answers a kind (datasets, models, jobs, runs) with the names there are. The slash is optional.
    """
    text = line.lstrip().removeprefix("/")
    words = [word.text for word in split(text, forgiving=True)]
    last = "" if not words or text[-1:].isspace() else words[-1]
    before = words if last == "" else words[:-1]
    if not before:
        return [(verb, summary(command(verb))) for verb in VERBS if verb.startswith(last)]
    if before[0] not in VERBS:
        return []
    views = fields(command(before[0]))
    flags = {view.flag: view for view in views if not view.positional}
    if (owner := flags.get(before[-1])) and owner.kind != "switch":
        return _values(owner, last, names)
    if last.startswith("-"):
        return [(flag, view.help) for flag, view in flags.items() if flag.startswith(last) and flag not in before]
    places = [view for view in views if view.positional]
    given = _positionals(before[1:], flags)
    if len(given) < len(places):
        found = _values(places[len(given)], last, names)
        if found or last or places[len(given)].takes_rest:
            return found
    return [] if last else [(flag, view.help) for flag, view in flags.items() if flag not in before]


def _positionals(words: list[str], flags: dict[str, FieldView]) -> list[str]:
    found: list[str] = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in flags:
            skip = flags[word].kind != "switch"
        elif not word.startswith("--"):
            found.append(word)
    return found


def _values(view: FieldView, start: str, names: Callable[[str], list[str]]) -> list[tuple[str, str]]:
    if view.choices:
        return [(choice, view.help) for choice in view.choices if choice.startswith(start)]
    if view.names == "files":
        return [(path, "") for path in _files(start)]
    return [(name, view.names) for name in names(view.names) if name.startswith(start)] if view.names else []


def _files(start: str) -> list[str]:
    path = Path(start).expanduser() if start else Path()
    folder, stem = (path, "") if start.endswith("/") or not start else (path.parent, path.name)
    lead = start[: len(start) - len(stem)] if stem else start
    try:
        found = sorted((entry.name, entry.is_dir()) for entry in folder.iterdir() if entry.name.startswith(stem))
    except OSError:
        return []
    return [f"{lead}{name}{'/' if is_folder else ''}" for name, is_folder in found if stem.startswith(".") or not name.startswith(".")][:50]
