"""The keys, for the help page. Bindings live with what they act on."""

from __future__ import annotations

KEYS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "Everywhere",
        (
            ("F1", "this page"),
            ("F2 F3 F4", "Datasets, Models, Jobs"),
            ("F5", "Chat"),
            ("F6", "plain text asks the dataset, or chats with the model"),
            ("/ or i", "to the chat box"),
            ("Esc", "one step back: completions, the running answer, the box, the detail"),
            ("z", "one part fills the screen, and back"),
            ("ctrl+p", "palette of commands"),
            ("ctrl+q", "quit"),
        ),
    ),
    (
        "Chat box",
        (
            ("Enter", "send"),
            ("ctrl+j", "new line"),
            ("Up Down", "what you typed before"),
            ("Tab", "complete"),
            ("1–9", "open a citation (empty box)"),
        ),
    ),
    ("Datasets", (("Enter", "rows"), ("a", "add"), ("u", "use"), ("i", "index"), ("t", "train"), ("Delete", "forget"))),
    ("Rows", (("Enter", "whole row"), ("n p", "next, previous row"), ("g", "go to a row"), ("s", "next split"))),
    ("Findings", (("Enter", "whole row"), ("o", "its rows as a table"), ("f", "the filter line"), ("r", "check again"))),
    (
        "Map",
        (
            ("arrows", "move; with shift faster"),
            ("+ - 0", "zoom in, out, whole"),
            ("Space", "corner of a box"),
            ("Enter", "what to do with the box"),
            ("c s", "clusters or labels; letters for colours"),
        ),
    ),
    ("Models", (("Enter", "use"), ("Space", "facts"), ("t", "train"), ("e", "evaluate"), ("a", "pull"))),
    ("Jobs", (("Enter", "curves and log"), ("p", "pause"), ("r", "resume"), ("x", "cancel"), ("u d", "up, down in the queue"))),
)
