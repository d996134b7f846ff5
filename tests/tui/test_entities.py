"""Entities in the colours of their kinds, whatever signs the text has."""

from __future__ import annotations

from tui.widgets.entities import INKS, in_colour


def test_entities_are_coloured_by_kind_and_nothing_is_markup() -> None:
    text = "[red]Ada[/red] met\x1b[2J Bob in [b]Leeds"
    found = [{"label": kind, "start": text.index(word), "end": text.index(word) + len(word)} for kind, word in (("person", "Ada"), ("person", "Bob"), ("[x]", "Leeds"))]  # fmt: skip
    content = in_colour(text, found)
    assert content.plain == "[red]Ada person[/red] met Bob person in [b]Leeds [x]"
    styles = {content.plain[span.start : span.end]: str(span.style) for span in content.spans if "bold" in str(span.style)}
    assert styles == {"Ada": f"bold underline {INKS[0]}", "Bob": f"bold underline {INKS[0]}", "Leeds": f"bold underline {INKS[1]}"}
