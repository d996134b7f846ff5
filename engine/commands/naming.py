"""Names that a person gives to datasets and models."""

from __future__ import annotations

import re

from engine.errors import BitternError


def slug(text: str) -> str:
    """A name made of any text: letters, digits, dots, dashes, underscores."""
    return re.sub(r"[^\w.\-]+", "-", text, flags=re.ASCII).strip("-.").lower() or "unnamed"


def check_name(kind: str, name: str) -> None:
    """Raises ``BitternError`` for a name that could lead out of its folder or be taken for a flag."""
    if not re.fullmatch(r"[A-Za-z0-9_][\w.\-]*", name, flags=re.ASCII) or len(name) > 100:
        raise BitternError(f"“{name}” can't be a {kind}'s name.", "Use letters, digits, dots, dashes and underscores.")
