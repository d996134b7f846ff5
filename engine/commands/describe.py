"""A Command's fields as a face needs them: flags for a line, inputs for a form, words for a help page."""

from __future__ import annotations

import types
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from engine.commands.registry import VERBS, command

if TYPE_CHECKING:
    from engine.commands.base import Command

Kind = Literal["text", "integer", "number", "switch", "choice"]


@dataclass(frozen=True, slots=True)
class FieldView:
    """``names`` says what a value is a name of (datasets, models, jobs, runs, files), for completion."""

    name: str
    kind: Kind
    help: str
    default: Any
    required: bool
    positional: bool
    takes_rest: bool
    many: bool
    choices: tuple[str, ...]
    names: str

    @property
    def flag(self) -> str:
        # ``where_`` is --where: a name that a Command has for itself already.
        return "--" + self.name.removesuffix("_").replace("_", "-")


@cache
def fields(cls: type[Command]) -> tuple[FieldView, ...]:
    """The fields of a Command: positional ones first, in their order, then flags as declared."""
    order = [*cls.words, *(name for name in cls.model_fields if name not in cls.words)]
    return tuple(_view(cls, name) for name in order)


def _view(cls: type[Command], name: str) -> FieldView:
    info = cls.model_fields[name]
    inner, many = _unwrap(info.annotation)
    kinds: dict[Any, Kind] = {bool: "switch", int: "integer", float: "number"}
    choices = tuple(str(value) for value in get_args(inner)) if get_origin(inner) is Literal else ()
    return FieldView(
        name=name,
        kind="choice" if choices else kinds.get(inner, "text"),
        help=info.description or "",
        default=None if info.is_required() else info.get_default(call_default_factory=True),
        required=info.is_required(),
        positional=name in cls.words,
        takes_rest=cls.rest and name == cls.words[-1],
        many=many,
        choices=tuple(choice for choice in choices if choice),
        names=cls.completes.get(name, ""),
    )


def _unwrap(annotation: Any) -> tuple[Any, bool]:
    """The type inside ``X | None``, ``list[X]`` and ``tuple[X, ...]``, and whether it may be given many times."""
    if get_origin(annotation) in (Union, types.UnionType):
        return _unwrap(next(arg for arg in get_args(annotation) if arg is not type(None)))
    if get_origin(annotation) in (list, tuple):
        return get_args(annotation)[0], True
    return annotation, False


def summary(cls: type[Command]) -> str:
    """The first line of a Command's help."""
    return (cls.__doc__ or "").strip().splitlines()[0]


def overview() -> list[tuple[str, str]]:
    """Every verb with its summary."""
    return [(verb, summary(command(verb))) for verb in VERBS]


def help_text(cls: type[Command]) -> str:
    """The help of one Command, plain text."""
    from engine.commands.parse import usage

    lines = [usage(cls), "", *(line.strip() for line in (cls.__doc__ or "").strip().splitlines()), ""]
    for view in fields(cls):
        name = view.name.upper() if view.positional else view.flag
        kind = "|".join(view.choices) if view.choices else "" if view.kind in ("switch", "text") else view.kind
        default = "" if view.required or view.default in (None, "", False, [], ()) else f" (default {view.default})"
        lines.append(f"  {f'{name} {kind}'.strip():<28} {view.help}{default}")
    if cls.examples:
        lines += ["", "Examples:", *(f"  {example}" for example in cls.examples)]
    return "\n".join(lines)
