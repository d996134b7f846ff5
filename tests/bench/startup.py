"""First paint of the screen beside a bare Textual app's, in pseudo-terminals, turn by turn.

Bittern paints twice: the bar, the chat box and the footer first, the panels right after. Both moments are printed.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import statistics
import struct
import sys
import tempfile
import termios
import time
from pathlib import Path

BARE = """
from textual.app import App
from textual.widgets import Footer, Header, Static
class Bare(App):
    def compose(self):
        yield Header()
        yield Static("PAINTED")
        yield Footer()
Bare().run()
"""
ROUNDS = 7


def first_paint(arguments: list[str], marker: bytes) -> float:
    """Seconds from the start of the process until ``marker`` is on the terminal."""
    began = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", BITTERN_HUB="off", BITTERN_STARTER_DIR="/nowhere")
        os.execv(sys.executable, [sys.executable, *arguments])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 45, 160, 0, 0))
    seen = b""
    while marker not in seen and time.perf_counter() - began < 30:
        if select.select([terminal], [], [], 0.05)[0]:
            seen += os.read(terminal, 65536)
    took = time.perf_counter() - began
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(terminal)
    assert marker in seen, f"nothing was painted: {seen[-300:]!r}"
    return took


def main() -> None:
    bare, first, whole = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(ROUNDS + 1):
            ours = ["-m", "tui", "--workspace"]
            taken = (
                first_paint(["-c", BARE], b"PAINTED"),
                first_paint([*ours, str(Path(folder) / f"first-{number}")], b"sk a question"),
                first_paint([*ours, str(Path(folder) / f"whole-{number}")], b"No data yet"),
            )
            if number:  # the first round warms the disk's cache
                for times, seconds in zip((bare, first, whole), taken, strict=True):
                    times.append(seconds)
    print(f"bare Textual app          {statistics.median(bare) * 1000:6.0f} ms")
    for name, times, goal in (("bittern, first picture", first, " (at most 1.5)"), ("bittern, with its panels", whole, "")):
        ratio = statistics.median(ours / theirs for ours, theirs in zip(times, bare, strict=True))
        print(f"{name:<25} {statistics.median(times) * 1000:6.0f} ms   ratio: {ratio:.2f}{goal}")


if __name__ == "__main__":
    main()
