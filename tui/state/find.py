"""What a person looks for on the Hub: the words in the box, and what the keys have set beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tui.state.catalog import size

KINDS = ("models", "datasets")
SORTS = ("downloads", "likes", "trending", "updated")
ACCESS = ("", "open", "gated")
UNITS = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


@dataclass(slots=True)
class FindState:
    kind: str = "models"
    sort: str = "downloads"
    access: str = ""

    def turn(self, what: str) -> None:
        """The next kind, order or access."""
        choices = {"kind": KINDS, "sort": SORTS, "access": ACCESS}[what]
        setattr(self, what, choices[(choices.index(getattr(self, what)) + 1) % len(choices)])

    def line(self, text: str) -> str:
        """The line of the grammar; a flag that was typed wins over what a key has set."""
        flags = [f"--kind {self.kind}"] if "--kind" not in text else []
        flags += [f"--sort {self.sort}"] if "--sort" not in text else []
        flags += [f"--{self.access}"] if self.access and "--open" not in text and "--gated" not in text else []
        return " ".join(["find", *flags, text.strip()]).strip()

    def title(self) -> str:
        return f"{self.kind} · {self.access or 'open and gated'} · by {self.sort}"


def short(count: int) -> str:
    """A large number in a narrow place: 1.7B, 135M, 12k."""
    for value, unit in UNITS:
        if count >= value:
            return f"{count / value:.3g}{unit}"
    return str(count)


def about(item: dict[str, Any]) -> str:
    """The second line of a result: task, size, licence, downloads, date."""
    much = short(item["parameters"]) if item.get("parameters") else item.get("rows") or ""
    parts = (item.get("task"), much, item.get("licence"), f"{short(item.get('downloads', 0))} downloads", item.get("updated"))
    return " · ".join(str(part) for part in parts if part)


def mark(item: dict[str, Any]) -> str:
    """What stands behind a name: whether it is here already, private or gated."""
    return "here" if item.get("here") else "private" if item.get("private") else "gated" if item.get("gated") else ""


def files(card: dict[str, Any], most: int = 12) -> list[tuple[str, str, bool]]:
    """The files of a card, those that would be taken first: name, size, taken."""
    ordered = sorted(card["files"], key=lambda item: (not item["taken"], -item["bytes"]))
    shown = [(item["file"], size(item["bytes"]), item["taken"]) for item in ordered[:most]]
    return [*shown, (f"and {len(ordered) - most} more", "", False)] if len(ordered) > most else shown
