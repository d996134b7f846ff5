"""Conversations: listed, searched, gone back to, named, pinned, put away; their branches; as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from engine.commands.base import Desk, Field, Now
from engine.commands.talk.chat import check_session_name, chosen
from engine.commands.talk.speaking import current, settings_of
from engine.commands.talk.transcript import as_conversations, as_markdown, lines_of
from engine.errors import BitternError
from engine.events import CatalogChanged
from engine.paths import write_atomic
from engine.results import Result, Table

if TYPE_CHECKING:
    from engine.store.sessions import MessageRecord, SessionRecord


class Sessions(Now):
    """List the conversations, pinned ones first; with TEXT only those that hold it in their name or in what was said."""

    verb = "sessions"
    words = ("text",)
    rest = True
    examples = ("sessions", "sessions refund", "sessions --forgotten")

    text: str = Field("", description="What to look for")
    forgotten: bool = Field(False, description="Those that were put away")

    def run(self, desk: Desk) -> Result:
        found = desk.workspace.sessions.all(self.text.strip(), forgotten=self.forgotten)
        here = current(desk)
        rows = [
            [("*" if record.name == here else "") + ("^" if record.pinned else ""), record.name, str(record.messages), record.changed[:16].replace("T", " "),
             " ".join(record.begins.split())[:80]]
            for record in found
        ]  # fmt: skip
        count = f"{len(found)} conversation{'' if len(found) == 1 else 's'}"
        told = f"{count} with “{self.text}”." if self.text else f"{count}. * is the current one, ^ is pinned."
        data = {"current": here, "sessions": [_as_data(record) for record in found]}
        return Result(told, data, Table(["", "name", "messages", "changed", "begins"], rows) if rows else None)


class Session(Now):
    """Go back to a conversation, or, with no name, show the current one. Or name it anew, pin it, or put it away.

    --forget takes it off the list and loses nothing: --restore brings it back. --erase removes it for good.
    """

    verb = "session"
    effect = "write"
    words = ("name",)
    rest = True
    completes = {"name": "sessions"}
    examples = ("session", "session herons", "session --rename reeds herons", "session --pin herons", "session --forget herons")

    name: str = Field("", description="Which conversation (the current one)")
    rename: str = Field("", description="Its new name")
    pin: bool | None = Field(None, description="Keep it at the top of the list; --no-pin lets it go")
    forget: bool = Field(False, description="Take it off the list; it can be restored")
    restore: bool = Field(False, description="Put it back on the list")
    erase: bool = Field(False, description="Remove it and all that was said for good; asks first")
    yes: bool = Field(False, description="With --erase: do it now")

    def run(self, desk: Desk) -> Result:
        sessions = desk.workspace.sessions
        if not self.name and sessions.find(current(desk)) is None:
            sessions.begin(current(desk))
        record = sessions.get_session(self.name.strip() or current(desk))
        if self.erase:
            return self._erase(desk, record)
        if self.forget or self.restore:
            return self._put_away(desk, record)
        if self.rename:
            self._rename(desk, record)
            record = sessions.get_session(self.rename.strip())
        if self.pin is not None:
            sessions.pin(record.name, pinned=self.pin)
        if not self.rename and self.pin is None:
            return self._open(desk, record)
        desk.publish(CatalogChanged(what="sessions", name=record.name))
        pinned = f" It is {'pinned' if self.pin else 'not pinned any more'}." if self.pin is not None else ""
        return Result(f"The conversation is called “{record.name}”.{pinned}", _as_data(sessions.get_session(record.name)))

    def _open(self, desk: Desk, record: SessionRecord) -> Result:
        path = desk.workspace.sessions.messages(record.name)
        if self.name and record.name != current(desk):
            desk.workspace.remember("session", record.name)
            desk.publish(CatalogChanged(what="sessions", name=record.name))
        data = {**_as_data(record), "settings": settings_of(desk, record.name), "messages": [_message(message) for message in path]}
        count = f"{len(path)} message{'' if len(path) == 1 else 's'}"
        return Result(f"{record.name}: {count}.", data, Table(["", "who", "said"], [lines_of(message) for message in path]) if path else None)

    def _rename(self, desk: Desk, record: SessionRecord) -> None:
        new = self.rename.strip()
        check_session_name(new)
        here = current(desk) == record.name
        desk.workspace.sessions.rename(record.name, new)
        if here:
            desk.workspace.remember("session", new)

    def _put_away(self, desk: Desk, record: SessionRecord) -> Result:
        sessions = desk.workspace.sessions
        sessions.forget(record.name, forgotten=self.forget)
        if self.forget and record.name == current(desk):
            self._leave(desk)
        desk.publish(CatalogChanged(what="sessions", name=record.name))
        told = f"“{record.name}” is off the list. `session --restore {record.name}` brings it back."
        return Result(told if self.forget else f"“{record.name}” is on the list again.", _as_data(sessions.get_session(record.name)))

    def _erase(self, desk: Desk, record: SessionRecord) -> Result:
        data = {**_as_data(record), "erased": self.yes}
        if not self.yes:
            return Result(f"“{record.name}” has {record.messages} messages, and nothing brings them back. To erase it: add --yes", data)
        desk.workspace.sessions.erase(record.name)
        if record.name == current(desk):
            self._leave(desk)
        desk.publish(CatalogChanged(what="sessions", name=record.name))
        return Result(f"“{record.name}” is erased.", data)

    @staticmethod
    def _leave(desk: Desk) -> None:
        """Go on with the conversation that was spoken in last, or with a new one."""
        others = [record for record in desk.workspace.sessions.all() if record.name]
        newest = max(others, key=lambda record: record.changed, default=None)
        desk.workspace.remember("session", newest.name if newest else "main")


class Branch(Now):
    """Show all that was said in the conversation, as a tree; or go to the branch through a message.

    * marks the messages of the branch that is open. `regenerate` and `revise` make branches.
    """

    verb = "branch"
    effect = "write"
    words = ("message",)
    examples = ("branch", "branch 14")
    completes = {"session": "sessions"}

    message: str = Field("", description="A message of the branch to go to, by its number")
    session: str = Field("", description="Which conversation (the current one)")

    def run(self, desk: Desk) -> Result:
        sessions = desk.workspace.sessions
        if self.message:
            target = chosen(desk, self.message, self.session)
            leaf = sessions.newest_under(target.id)
            sessions.go_to(leaf)
            desk.publish(CatalogChanged(what="sessions", name=target.session))
            return Result(f"On the branch through {target.id}.", {"session": target.session, "message": target.id, "leaf": leaf})
        session = current(desk, self.session)
        path = {record.id for record in sessions.messages(session, 100_000)}
        everything = sessions.tree(session)
        depths = _depths(everything)
        data = [{**_message(record), "under": record.parent, "open": record.id in path} for record in everything]
        rows = [[str(record.id), "*" if record.id in path else "", "  " * depths[record.id] + lines_of(record)[1], lines_of(record)[2]]
                for record in _in_order(everything)]  # fmt: skip
        ends = len({record.id for record in everything} - {record.parent for record in everything})
        told = f"{session}: {len(everything)} messages on {ends} branch{'' if ends == 1 else 'es'}."
        return Result(told, {"session": session, "messages": data}, Table(["", "open", "who", "said"], rows) if rows else None)


class ExportChat(Now):
    """Write a conversation to a file: Markdown to read, or JSONL to train on ({"messages": […]}, which `add` takes).

    In JSONL a line is a conversation down to its last answer, with its system prompt. Thoughts stay out, unless asked for.
    """

    verb = "export-chat"
    effect = "write"
    words = ("session",)
    rest = True
    completes = {"session": "sessions", "to": "files"}
    examples = ("export-chat --to herons.md herons", "export-chat --to chats.jsonl --every --branches")

    session: str = Field("", description="Which conversation (the current one)")
    to: str = Field(min_length=1, description="The file to write: .md or .jsonl")
    format: Literal["", "md", "jsonl"] = Field("", description="How; the file's ending says it otherwise")
    every: bool = Field(False, description="All conversations that are on the list")
    branches: bool = Field(False, description="All branches, not only the open one; in JSONL")
    thoughts: bool = Field(False, description="With what models thought before they answered")
    force: bool = Field(False, description="Replace the file if it is there")

    def run(self, desk: Desk) -> Result:
        sessions = desk.workspace.sessions
        file = Path(self.to).expanduser().absolute()
        kind = self.format or {".md": "md", ".jsonl": "jsonl"}.get(file.suffix.lower(), "")
        self._check(file, kind)
        names = [record.name for record in sessions.all()] if self.every else [sessions.get_session(self.session.strip() or current(desk)).name]
        parts: list[str] = []
        for name in names:
            settings = settings_of(desk, name)
            if kind == "md":
                parts.append(as_markdown(name, settings["system"], sessions.messages(name, 100_000), thoughts=self.thoughts))
            else:
                leaves = _leaves(sessions.tree(name)) if self.branches else [found.leaf for found in [sessions.find(name)] if found]
                paths = [sessions.path(leaf) for leaf in leaves]
                found = as_conversations(settings["system"], paths, thoughts=self.thoughts)
                parts += [json.dumps({"messages": messages}, ensure_ascii=False) + "\n" for messages in found]
        if not parts:
            raise BitternError("There is no answer in it yet, so there is nothing to write.", "`sessions` lists the conversations.")
        write_atomic(file, "".join(parts))
        unit = "conversation" if kind == "md" else "line"
        count = f"{len(parts)} {unit}{'' if len(parts) == 1 else 's'}"
        return Result(f"{count} in {file}.", {"file": str(file), "format": kind, "count": len(parts), "sessions": names})

    def _check(self, file: Path, kind: str) -> None:
        if not kind:
            raise BitternError(f"“{file.name}” does not say what to write.", "End its name in .md or .jsonl, or say --format.")
        if file.is_dir() or not file.parent.is_dir():
            raise BitternError(f"{file} can't be written.", "Name a file in a folder that is there.")
        if file.exists() and not self.force:
            raise BitternError(f"{file} is there already.", "To replace it: --force")


def _leaves(everything: list[MessageRecord]) -> list[int]:
    above = {record.parent for record in everything}
    return [record.id for record in everything if record.id not in above]


def _below(everything: list[MessageRecord]) -> dict[int, list[MessageRecord]]:
    below: dict[int, list[MessageRecord]] = {}
    for record in everything:
        below.setdefault(record.parent or 0, []).append(record)
    return below


def _in_order(everything: list[MessageRecord]) -> list[MessageRecord]:
    """Each message followed by what is below it."""
    below = _below(everything)
    ordered: list[MessageRecord] = []
    waiting = list(reversed(below.get(0, [])))
    while waiting:
        record = waiting.pop()
        ordered.append(record)
        waiting += reversed(below.get(record.id, []))
    return ordered


def _depths(everything: list[MessageRecord]) -> dict[int, int]:
    """How far to set in each message: one step for each parting above it, not for each message."""
    below = _below(everything)
    depths: dict[int, int] = {}
    for record in everything:  # a parent is older than what is below it
        several = len(below[record.parent or 0]) > 1
        depths[record.id] = depths.get(record.parent or 0, 0) + several
    return depths


def _message(record: MessageRecord) -> dict[str, Any]:
    usage = record.facts.get("usage") or {}
    return {
        "message": record.id, "role": record.role, "text": record.text, "siblings": list(record.siblings), "created": record.created,
        "kind": record.facts.get("kind", ""), "model": record.facts.get("model", ""), "finish": usage.get("finish", ""),
    }  # fmt: skip


def _as_data(record: SessionRecord) -> dict[str, Any]:
    return {
        "session": record.name, "pinned": record.pinned, "count": record.messages, "begins": record.begins, "changed": record.changed,
        "created": record.created, "forgotten": record.forgotten,
    }  # fmt: skip
