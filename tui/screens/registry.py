"""Whole screens that an answer can open: ``Result.opens`` is ``KIND:NAME``, and the screen is made with the bridge and NAME.

They are loaded when they are first wanted. Each is a ``textual.screen.Screen`` whose Esc goes back to the main one.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.screen import Screen

    from tui.bridge import Bridge

SCREENS: dict[str, str] = {
    "sql": "tui.screens.sql:SqlScreen",
    "stats": "tui.screens.stats:StatsScreen",
    "check": "tui.screens.quality:QualityScreen",
    "tokens": "tui.screens.tokens:TokensScreen",
    "scrub": "tui.screens.scrub:ScrubScreen",
    "mask": "tui.screens.mask:MaskScreen",
    "curves": "tui.screens.curves:CurvesScreen",
    "trials": "tui.screens.trials:TrialsScreen",
    "versus": "tui.screens.versus:VersusScreen",
    "runs": "tui.screens.runs:RunsScreen",
    "compare": "tui.screens.runs:RunsScreen",
    "map": "tui.screens.map:MapScreen",
    "find": "tui.screens.find:FindScreen",
}


def screen_for(kind: str) -> Callable[[Bridge, str], Screen[Any]]:
    """The class of the screen that ``kind`` names. Raises ``KeyError``."""
    module, name = SCREENS[kind].split(":")
    found: Callable[[Bridge, str], Screen[Any]] = getattr(importlib.import_module(module), name)
    return found
