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
            ("F7 F8", "sampling and system prompt, conversations"),
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
            ("1–9", "open a citation, take a way out (empty box)"),
        ),
    ),
    (
        "Chat",
        (
            ("k j", "message above, below"),
            ("e", "put the question anew; what was said stays as a branch"),
            ("r", "answer again"),
            ("c", "go on with the answer"),
            ("← →", "the answers and questions beside it"),
            ("b", "all branches as a tree"),
            ("t v y", "thoughts, as the model wrote it, copy"),
            ("a", "on a citation, or in the rows: attach the row"),
            ("G", "to the end"),
        ),
    ),
    ("Datasets", (("Enter", "rows"), ("a", "add"), ("f", "find on the Hub"), ("u", "use"), ("i", "index"), ("t", "train"), ("Delete", "forget"))),
    (
        "Rows",
        (
            ("Enter", "the whole row; in it n and p go to the next and the previous one"),
            ("f", "filter: a condition of SQL, Tab completes columns; an empty line shows all rows"),
            ("o", "order by the column under the cursor: up, down, not at all (or click its head)"),
            ("Left Right", "another column"),
            ("g s", "go to a row, next split"),
            ("h H y", "hide a column, show all, choose among them"),
            ("c C", "copy the cell, the row"),
            ("e", "edit the cell"),
            ("l 1–9", "label: each number gives its label and goes to the next row"),
            ("u U", "undo, redo"),
            ("x i q", "export, statistics, SQL"),
            ("! m", "check for duplicates, leaks and doubtful labels; map"),
            ("Esc", "stops a filter that is being worked out"),
        ),
    ),
    ("SQL", (("ctrl+r F8", "run"), ("Tab", "complete"), ("ctrl+s", "keep as a dataset"), ("ctrl+↑ ↓", "queries of before"), ("Esc", "stop, back"))),
    ("Statistics", (("Enter", "the rows that a bar counts"), ("← →", "columns, bars"), ("r", "compute anew"))),
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
    (
        "Find",
        (
            ("Enter", "search; in the list: bring it"),
            ("F7 F8 F9", "models or datasets, order, open or gated"),
            ("c", "its line in the chat box, to give it flags"),
        ),
    ),
    ("Models", (("Enter", "use"), ("Space", "facts"), ("t", "train"), ("e", "evaluate"), ("a", "pull"), ("f", "find on the Hub"))),
    (
        "Jobs",
        (
            ("Enter", "curves and log"),
            ("p", "pause"),
            ("r", "resume"),
            ("x", "cancel"),
            ("u d", "up, down in the queue"),
            ("c", "chart of several; trials of a sweep"),
        ),
    ),
    (
        "Chart",
        (
            ("← → PgUp PgDn", "the cursor; the mouse reads too"),
            ("m s l t", "figure, smoothing, log, by time"),
            ("+ - 0", "closer, wider, all of it; the wheel too"),
            ("v", "trials: axes or best so far"),
        ),
    ),
)
