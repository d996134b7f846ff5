"""``bittern``: words first; the screen is imported only when it is wanted."""

from __future__ import annotations

import sys

from tui.cli import main

if __name__ == "__main__":
    sys.exit(main())
