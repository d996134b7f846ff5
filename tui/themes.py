"""Bittern's own colours: reeds, water and the bird's ochre, on dark and on light."""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="bittern", primary="#6f9f7a", secondary="#7fa7c9", accent="#d9a24a", foreground="#d8dcd2", background="#11161a", surface="#161d22",
    panel="#1f2930", success="#84b86f", warning="#d9a24a", error="#d9695f", dark=True,
    variables={"border": "#33424b", "border-blurred": "#2a363e", "footer-key-foreground": "#d9a24a", "block-cursor-text-style": "none"},
)  # fmt: skip
LIGHT = Theme(
    name="bittern-light", primary="#3f7250", secondary="#2f6690", accent="#a4650f", foreground="#20282c", background="#f4f2ea", surface="#ece9de",
    panel="#dfdbcc", success="#3f7a34", warning="#a4650f", error="#b03a30", dark=False,
    variables={"border": "#b9b4a0", "border-blurred": "#cdc8b6", "footer-key-foreground": "#a4650f", "block-cursor-text-style": "none"},
)  # fmt: skip
