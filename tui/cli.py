"""The command line face: the same Commands headless, as text or JSON.

Results go to stdout and everything else to stderr. Exit status: 0 done, 1 failed, 2 wrong words, 130 interrupted.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.engine import Engine
    from engine.errors import BitternError

DONE, FAILED, WRONG_WORDS, INTERRUPTED = 0, 1, 2, 130
USAGE = """usage: bittern [--workspace DIR] [--json] [--quiet] [VERB …]

With no verb, opens the screen. `bittern help` lists the verbs; `bittern help VERB` explains one.

  --workspace DIR   the workspace (default: BITTERN_HOME, or the platform's data directory)
  --json            results as JSON on stdout: one object, or one a line for what streams
  --quiet           no progress on stderr
  --detach          queue the job for a background worker, and return at once
  --version         the version
"""


@dataclass(slots=True)
class Options:
    """What stands before the verb."""

    workspace: Path | None = None
    json: bool = False
    quiet: bool = False
    detach: bool = False
    words: list[str] = field(default_factory=list)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        options = read_options(arguments)
    except ValueError as error:
        print(f"bittern: {error}\n\n{USAGE}", file=sys.stderr)
        return WRONG_WORDS
    if options.words in (["--help"], ["-h"]):
        print(USAGE)
        return DONE
    if options.words == ["--version"]:
        from engine import __version__

        print(f"bittern {__version__}")
        return DONE
    try:
        return _open_screen(options) if not options.words else _run_words(options)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) left: not an error, but nothing more may be written, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE


def read_options(arguments: list[str]) -> Options:
    """Split what stands before the verb from the verb and its words. Raises ``ValueError``."""
    options = Options()
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        word = rest.pop(0)
        name, given, value = word.partition("=")
        if name == "--workspace":
            if not given and not rest:
                raise ValueError("--workspace needs a folder")
            options.workspace = Path(value if given else rest.pop(0))
        elif word in ("--json", "--quiet", "--detach"):
            setattr(options, word[2:], True)
        elif word in ("-h", "--help", "--version"):
            options.words = ["--help" if word == "-h" else word]
            return options
        else:
            raise ValueError(f"there is no option {word}")
    # `bittern datasets --json` is what people type: these two are understood after the verb as well.
    for name in ("json", "quiet"):
        if rest and f"--{name}" in rest[1:] and "--" not in rest:
            rest.remove(f"--{name}")
            setattr(options, name, True)
    options.words = rest
    return options


def _open_screen(options: Options) -> int:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print(
            "bittern: this is not a terminal, so there is no screen to open.\n"
            "Without one: `bittern tour` walks the main job, `bittern help` lists the verbs, `bittern VERB --json` answers in JSON.",
            file=sys.stderr,
        )
        return WRONG_WORDS
    from tui.app import run_screen

    return run_screen(options.workspace)


def _run_words(options: Options) -> int:
    from engine.errors import BitternError

    verb = options.words[0]
    try:
        if verb == "help":
            return _help(options.words[1:])
        if "--help" in options.words[1:] or "-h" in options.words[1:]:
            return _help([verb])
        if verb in ("work", "tour"):
            from tui import headless

            return headless.work(options) if verb == "work" else headless.tour(options)
        from tui.headless import run_command

        return run_command(options)
    except BitternError as error:
        show_error(error, as_json=options.json)
        return error.exit_code


def _help(words: list[str]) -> int:
    from engine.commands.describe import help_text, overview
    from engine.commands.registry import command

    if words and words[0] not in ("tour", "work", "help"):
        print(help_text(command(words[0])))
        return DONE
    print(USAGE)
    for verb, summary in [
        *overview(),
        ("tour", "Walk the main job headless, telling each step."),
        ("work", "Run queued and interrupted jobs with no screen."),
    ]:
        print(f"  {verb:<10} {summary}")
    return DONE


def open_engine(options: Options, *, everything: bool = False, warm: bool = False, working: bool = True) -> Engine:
    """The engine over the workspace that the options name. Raises ``WorkspaceError``."""
    from engine.engine import Engine

    return Engine(options.workspace, everything=everything, warm=warm, working=working)


def show_error(error: BitternError, *, as_json: bool) -> None:
    """An error on stderr (as JSON on stdout with ``--json``): what, where, and the way out."""
    if as_json:
        print_json(error.as_dict())
        return
    print(f"{error.title}: {clean(error.message)}", file=sys.stderr)
    line, start, end = getattr(error, "line", ""), getattr(error, "start", 0), getattr(error, "end", 0)
    if line:
        print(f"  {clean(line)}\n  {' ' * start}{'^' * max(1, end - start)}", file=sys.stderr)
    if error.hint:
        print(clean(error.hint), file=sys.stderr)
    for repair in error.repairs:
        print(f"try: {clean(repair.line)}  ({clean(repair.label)})", file=sys.stderr)


def print_json(data: dict[str, Any]) -> None:
    print(json.dumps(data, ensure_ascii=False), flush=True)
