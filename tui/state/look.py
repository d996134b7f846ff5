"""How a dataset is looked at: which split of it, which rows, in which order, without which columns."""

from __future__ import annotations

from dataclasses import dataclass, replace

ROLES = {"human": "user", "gpt": "assistant", "bot": "assistant", "model": "assistant"}


@dataclass(frozen=True, slots=True)
class Look:
    """``where`` is a SQL expression, ``sort`` names columns, each with whether it descends."""

    dataset: str
    split: str
    where: str = ""
    sort: tuple[tuple[str, bool], ...] = ()
    hidden: frozenset[str] = frozenset()

    @property
    def plain(self) -> bool:
        """Whether the rows are all of the split's, in their own order."""
        return not self.where and not self.sort

    def ordered_by(self, column: str) -> Look:
        """Ordered by a column: up, then down, then as the rows lie."""
        after = {(): ((column, False),), ((column, False),): ((column, True),), ((column, True),): ()}
        return replace(self, sort=after.get(self.sort, ((column, False),)))

    def without(self, column: str) -> Look:
        return replace(self, hidden=self.hidden | {column})

    def fitted(self, splits: dict[str, int], features: dict[str, str]) -> Look:
        """What is left of it on a version of the dataset with these splits and columns."""
        split = self.split if self.split in splits else next(iter(splits), "")
        sort = tuple(part for part in self.sort if part[0] in features)
        return replace(self, split=split, sort=sort, hidden=self.hidden & set(features))

    def told(self, shown: int, total: int, room: int) -> str:
        """Filter, order and hidden columns in one line of about ``room`` characters, where a long filter gives way; empty
        where there is nothing to tell."""
        parts = []
        if self.where:
            parts.append(f"{shown:,} of {total:,}")
        if self.sort:
            parts.append("by " + ", ".join(f"{column} {'↓' if descends else '↑'}" for column, descends in self.sort))
        if self.hidden:
            parts.append(f"{len(self.hidden)} hidden")
        if self.where:
            most = max(12, room - sum(len(part) + 3 for part in parts))
            parts.insert(0, self.where if len(self.where) <= most else f"{self.where[: most - 1]}…")
        return " · ".join(parts)


def turns(value: object) -> list[tuple[str, str, object]]:
    """A conversation in any of the usual spellings: each turn's role, its words, and what else it holds; empty for
    anything that is no conversation."""
    if not isinstance(value, list) or not value:
        return []
    found: list[tuple[str, str, object]] = []
    for turn in value:
        if not isinstance(turn, dict):
            return []
        role = turn.get("role") or turn.get("from")
        key = "content" if "content" in turn else "value"
        if not isinstance(role, str) or not ({"content", "value", "tool_calls"} & set(turn)):
            return []
        more = {name: part for name, part in turn.items() if name not in ("role", "from", key) and part not in (None, "", [], {})}
        words = turn.get(key)
        if not isinstance(words, str):
            words, more = _parts(words, more, key)
        found.append((ROLES.get(role.lower(), role), words, more))
    return found


def _parts(words: object, more: dict[str, object], key: str) -> tuple[str, dict[str, object]]:
    """The words of a content made of typed parts; a part that is no text stays beside them."""
    texts, others = [], []
    for part in words if isinstance(words, list) else [words]:
        text = part.get("text") if isinstance(part, dict) else part
        if isinstance(text, str):
            texts.append(text)
        elif part is not None:
            others.append(part)
    return "\n".join(texts), {**more, **({key: others} if others else {})}
