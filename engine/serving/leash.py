"""``python -m engine.serving.leash COMMAND …``: run a server that ends when the one who started it does.

The other end of standard input is held by the job; when that process is gone, however it died, the input ends.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading


def main() -> int:
    """Run the command; returns its exit status."""
    process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)

    def watch() -> None:
        while os.read(0, 1024):
            pass
        end(process)

    threading.Thread(target=watch, daemon=True).start()
    return process.wait()


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask the process and its children to end; after a second, make them."""
    for how in (signal.SIGTERM, signal.SIGKILL) if sys.platform != "win32" else (signal.SIGTERM,):
        with contextlib.suppress(OSError):
            if sys.platform == "win32":
                process.terminate()
            else:
                os.killpg(process.pid, how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1)
            return


if __name__ == "__main__":
    sys.exit(main())
