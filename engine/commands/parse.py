"""One grammar for the command line and the slash line: ``verb word … --flag value``. Errors point at the word."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from engine.commands.describe import FieldView, fields
from engine.commands.registry import VERBS, command
from engine.errors import NotFound, WordsError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.commands.base import Command


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a line: its text without quotes, and where it stands (``start`` included, ``end`` not). ``raw`` is the
    text as it was written; empty where a shell has taken the quotes off already."""

    text: str
    start: int
    end: int
    quoted: bool = False
    raw: str = ""


def split(line: str, *, forgiving: bool = False) -> list[Word]:
    """The words of a line. A quote opens only at the start of a word, so that “what's” is a word.

    Raises ``WordsError`` for a quote that is never closed, unless ``forgiving``.
    """
    words: list[Word] = []
    at = 0
    while at < len(line):
        if line[at].isspace():
            at += 1
            continue
        start, quote = at, line[at] if line[at] in "\"'" else ""
        if quote:
            end = line.find(quote, at + 1)
            if end < 0 and not forgiving:
                raise WordsError("This quote is never closed.", f"Add {quote} at the end.", line=line, start=start, end=len(line))
            if end >= 0 and (end + 1 == len(line) or line[end + 1].isspace()):
                words.append(Word(line[at + 1 : end], start, end + 1, quoted=True, raw=line[start : end + 1]))
                at = end + 1
                continue
        while at < len(line) and not line[at].isspace():
            at += 1
        words.append(Word(line[start:at], start, at))
    return words


def from_line(line: str) -> Command:
    """The Command that a line (with or without its slash) says. Raises ``WordsError``."""
    text = line.strip()
    offset = 1 if text.startswith("/") else 0
    verb = text[offset:].split(maxsplit=1)[0] if text[offset:].strip() else ""
    # A question may hold any quote; only Commands whose last word is free text are read so.
    free = verb in VERBS and command(verb).rest
    words = [Word(w.text, w.start + offset, w.end + offset, w.quoted, w.raw) for w in split(text[offset:], forgiving=free)]
    return _read(words, text)


def from_argv(argv: Sequence[str]) -> Command:
    """The Command of a list of words, as a shell hands it over. Raises ``WordsError``."""
    words: list[Word] = []
    at = 0
    for text in argv:
        width = len(shlex.quote(text))
        # The shell has taken the quotes off: they are no part of a question. Only what looks like a flag needs them.
        words.append(Word(text, at, at + width, quoted=text.startswith("--") and " " in text))
        at += width + 1
    return _read(words, shlex.join(argv))


def to_line(request: Command) -> str:
    """The line that says this Command: what differs from the defaults, in the grammar that :func:`from_line` reads."""
    parts = [request.verb]
    flags: list[str] = []
    for view in fields(type(request)):
        value = getattr(request, view.name)
        if view.positional:
            if value not in (None, ""):
                parts.append(str(value) if view.takes_rest else _quote(str(value)))
        elif value != view.default:
            flags += _flag(view, value)
    return " ".join(parts[:1] + flags + parts[1:] if type(request).rest else parts + flags)


def _flag(view: FieldView, value: Any) -> list[str]:
    if view.kind == "switch":
        return [view.flag if value else f"--no-{view.flag[2:]}"]
    values = value if isinstance(value, (list, tuple)) else [value]
    return [part for item in values for part in (view.flag, _quote(str(item)))]


def _quote(text: str) -> str:
    if text and not any(c.isspace() for c in text) and text[0] not in "\"'":
        return text
    return f'"{text}"' if '"' not in text else f"'{text}'"


def _read(words: list[Word], line: str) -> Command:
    if not words:
        raise WordsError("There is nothing here to do.", "Type a verb, or `help`.", line=line)
    verb, *rest = words
    try:
        cls = command(verb.text)
    except NotFound as error:
        raise WordsError(error.message, error.hint, line=line, start=verb.start, end=verb.end) from None
    if cls.secret and rest:
        # The words are not repeated: one of them may be the secret.
        raise WordsError(f"`{cls.verb}` takes nothing on its line, where it would be remembered.", f"Type {cls.verb} alone: it asks.", line=cls.verb)
    values, places = _collect(cls, rest, line)
    for name in cls.words:
        if name not in values and cls.model_fields[name].is_required():
            raise WordsError(f"`{cls.verb}` needs a {name}.", f"Usage: {usage(cls)}", line=line, start=len(line), end=len(line) + 1)
    try:
        return cls(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        place = places.get(name, verb)
        if first["type"] == "missing":
            view = next(view for view in fields(cls) if view.name == name)
            raise WordsError(f"`{cls.verb}` needs {view.flag}.", f"{view.help}.", line=line, start=len(line), end=len(line) + 1) from None
        lead = f"{name.strip('_').replace('_', '-')}: " if name else ""
        raise WordsError(f"{lead}{_plain(first['msg'])}", f"Usage: {usage(cls)}", line=line, start=place.start, end=place.end) from None


def _collect(cls: type[Command], words: list[Word], line: str) -> tuple[dict[str, Any], dict[str, Word]]:
    views = fields(cls)
    flags = {view.flag: view for view in views if not view.positional}
    open_places = [view for view in views if view.positional]
    values: dict[str, Any] = {}
    places: dict[str, Word] = {}
    free: list[Word] = []
    queue = list(words)
    plain = False
    raw = next((view for view in open_places if view.takes_rest), None) if cls.raw else None
    while queue:
        word = queue.pop(0)
        if raw and raw.name in values and (word.quoted or _odd(values[raw.name]) or word.text.partition("=")[0] not in flags):
            _take_raw(raw.name, word, values, places, line)
        elif word.text == "--" and not word.quoted and not plain:
            plain = True
        elif word.text.startswith("--") and len(word.text) > 2 and not word.quoted and not plain:
            _take_flag(cls, flags, word, queue, values, places, line)
        elif open_places:
            view = open_places[0]
            places.setdefault(view.name, word)
            if view is raw:
                _take_raw(view.name, word, values, places, line)
            elif view.takes_rest:
                # Free text keeps its own quotes and spacing as far as words allow.
                text = line[word.start : word.end] if word.quoted and " " in word.text and len(words) > 1 else word.text
                values[view.name] = f"{values[view.name]} {text}" if view.name in values else text
                free.append(word)
            else:
                values[view.name] = word.text
                open_places.pop(0)
        else:
            raise WordsError(f"`{cls.verb}` does not take “{word.text}”.", f"Usage: {usage(cls)}", line=line, start=word.start, end=word.end)
    if raw and (only := places.get(raw.name)) and only.quoted and only.raw == values[raw.name]:
        values[raw.name] = only.text  # all of it in quotes: they are the line's, not its own
    if len(free) == 1:
        # All of the free text in one pair of quotes: they hold it together, and are no part of it.
        values[open_places[0].name] = free[0].text
    return values, places


def _odd(text: str) -> bool:
    """Whether a quote is open at the end of ``text``."""
    return text.count("'") % 2 == 1


def _take_raw(name: str, word: Word, values: dict[str, Any], places: dict[str, Word], line: str) -> None:
    """A piece of a text that is taken as it was written, with the space before it."""
    text = word.raw or word.text
    if name in values:
        before = line[: word.start]
        space = before[len(before.rstrip()) :] or " "
        values[name] += space + text
        places[name] = Word(values[name], places[name].start, word.end)
    else:
        values[name], places[name] = text, word


def _take_flag(
    cls: type[Command], flags: dict[str, FieldView], word: Word, queue: list[Word], values: dict[str, Any], places: dict[str, Word], line: str
) -> None:
    flag, given, inline = word.text.partition("=")
    off = flag.startswith("--no-") and flag not in flags
    view = flags.get(f"--{flag[5:]}" if off else flag)
    if view is None or (off and view.kind != "switch"):
        hint = did_you_mean(flag, flags) or (f"It takes {', '.join(flags)}." if flags else "It takes no flags.")
        raise WordsError(f"`{cls.verb}` has no {flag}.", hint, line=line, start=word.start, end=word.start + len(flag))
    places[view.name] = word
    if view.kind == "switch" and not given:
        values[view.name] = not off
        return
    if given:
        value = inline
    elif queue:
        places[view.name] = queue[0]
        value = queue.pop(0).text
    else:
        raise WordsError(f"{flag} needs a value ({view.kind}).", view.help, line=line, start=word.start, end=word.end)
    if view.many:
        values.setdefault(view.name, []).extend(part.strip() for part in value.split(",") if part.strip())
    else:
        values[view.name] = value


def usage(cls: type[Command]) -> str:
    """One line: the verb, its words and its flags."""
    parts = [cls.verb]
    for view in fields(cls):
        if view.positional:
            name = view.name.upper() + (" …" if view.takes_rest else "")
            parts.append(name if view.required else f"[{name}]")
    if any(not view.positional for view in fields(cls)):
        parts.append("[flags]")
    return " ".join(parts)


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Input should be", "this should be").replace("be '', ", "be ")
