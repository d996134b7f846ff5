"""From groups of rows to findings: counted, put in words, with the expression that means their rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.quality.personal import TITLES
from engine.quality.report import GROUPS_KEPT, MEMBERS_KEPT, TEXT_KEPT, Finding, Group, Kind, Member, Severity, rows_by_split

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from engine.quality.corpus import Corpus
    from engine.quality.labels import Doubt
    from engine.quality.pairs import Alike

HOW = {"exact": "the same text", "words": "nearly the same words", "meaning": "nearly the same meaning"}
SEVERITY: dict[tuple[str, str], Severity] = {
    ("leaks", "exact"): "high", ("leaks", "words"): "high", ("leaks", "meaning"): "medium",
    ("twice", "exact"): "medium", ("twice", "words"): "medium", ("twice", "meaning"): "low",
}  # fmt: skip


class _Members:
    """Makes the members of a finding's examples; their texts are read together."""

    def __init__(self, corpus: Corpus, rows: Iterable[int]) -> None:
        self._corpus, self._texts = corpus, corpus.texts(rows)

    def of(self, row: int, note: str = "", *, goes: bool = False) -> Member:
        return Member(self._corpus.address(row), self._texts[row][:TEXT_KEPT], self._corpus.label_of(row), note, goes)


def alike(corpus: Corpus, key: str, kind: Kind, title: str, severity: Severity, says: str, groups: Sequence[Alike]) -> list[Finding]:
    """A finding of rows that are like one that stays, the largest groups first; nothing when there is none."""
    if not groups:
        return []
    exact = key.endswith("exact")
    ordered = sorted(groups, key=lambda group: (-len(group.goes), -group.score, group.stays))[:GROUPS_KEPT]
    members = _Members(corpus, (row for group in ordered for row in (group.stays, *(other for other, _ in group.goes[:MEMBERS_KEPT]))))
    gone = {row for group in groups for row, _ in group.goes}
    examples = [
        Group(
            [
                members.of(group.stays),
                *(members.of(row, "" if exact else f"{score:.2f}", goes=True) for row, score in group.goes[:MEMBERS_KEPT]),
            ],
            None if exact else group.score,
            max(0, len(group.goes) - MEMBERS_KEPT),
        )
        for group in ordered
    ]
    return [Finding(key, kind, title, severity, len(gone), len(groups), says, rows_by_split(map(corpus.place, sorted(gone))), examples)]


def conflicts(corpus: Corpus, groups: list[list[int]]) -> list[Finding]:
    """The same text with different labels: which one is right cannot be seen, so all of them are meant."""
    if not groups:
        return []
    rows = [row for group in groups for row in group]
    ordered = sorted(groups, key=lambda group: (-len(group), group))[:GROUPS_KEPT]
    members = _Members(corpus, (row for group in ordered for row in group[:MEMBERS_KEPT]))
    examples = [Group([members.of(row, goes=True) for row in group[:MEMBERS_KEPT]], more=max(0, len(group) - MEMBERS_KEPT)) for group in ordered]
    says = "One text, several labels. Look at them and keep the right one; the filter leaves all of them out."
    title = "The same text with different labels"
    return [Finding("labels.conflicts", "labels", title, "high", len(rows), len(groups), says, rows_by_split(map(corpus.place, rows)), examples)]


def doubtful(corpus: Corpus, rows: list[int], found: list[Doubt]) -> list[Finding]:
    """Labels that the neighbours contradict, the surest first. ``rows`` are the rows of the matrix."""
    if not found:
        return []
    shown = found[:GROUPS_KEPT]
    members = _Members(corpus, (rows[place] for doubt in shown for place in (doubt.place, *doubt.neighbours[:4])))
    examples = [
        Group(
            [
                members.of(rows[doubt.place], f"neighbours say {corpus.labels[doubt.says]}", goes=True),
                *(members.of(rows[place]) for place in doubt.neighbours[:4]),
            ],
            doubt.score,
            max(0, len(doubt.neighbours) - 4),
        )
        for doubt in shown
    ]
    says = "The rows nearest in meaning agree on another label. A hint, not a verdict: look at the first ones before filtering."
    splits = rows_by_split(corpus.place(rows[doubt.place]) for doubt in found)
    title = "Labels that their neighbours contradict"
    return [Finding("labels.neighbours", "labels", title, "medium", len(found), len(found), says, splits, examples)]


def personal(corpus: Corpus, kind: str, found: list[tuple[int, str]]) -> Finding:
    """Rows with one kind of personal data; the text of each is cut to where it stands."""
    pattern = TITLES[kind]
    examples = [Group([Member(corpus.address(row), around, corpus.label_of(row), goes=True)]) for row, around in found[:GROUPS_KEPT]]
    says = "Found by its pattern; look before you publish or train. The filter leaves these rows out."
    splits = rows_by_split(corpus.place(row) for row, _ in found)
    return Finding(f"personal.{kind}", "personal", pattern.title, pattern.severity, len(found), len(found), says, splits, examples)
