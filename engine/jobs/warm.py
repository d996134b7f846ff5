"""Imported by the fork server alone: loads the heavy libraries once, so that every child starts in an instant.

Nothing here may start a thread (a fork would lose it).
The Hub is switched off for these children; work that needs it runs in a fresh process.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
_log = os.open(os.environ.get("BITTERN_WARM_LOG", os.devnull), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
os.dup2(_log, 1)
os.dup2(_log, 2)

for _name in ("torch", "transformers.trainer", "transformers.models.llama.modeling_llama", "peft", "datasets", "sentence_transformers"):
    try:
        importlib.import_module(_name)
    except Exception as _error:
        # A library that does not import is reported by the job that needs it; the server must live on.
        print(f"warm: {_name}: {_error}", file=sys.stderr, flush=True)

# A child's collector need not look at what the libraries made, and so does not copy its pages either.
gc.collect()
gc.freeze()
