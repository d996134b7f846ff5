"""``python -m engine.serving.torch_serve SOCKET FOLDER``: ``transformers serve`` on a Unix socket that is ours alone.

By itself it listens on a TCP port and asks nobody for a token, so every user of the machine could speak to it.
"""

from __future__ import annotations

import functools
import sys
from typing import Any

from engine.devices import prepare_environment, set_torch_threads


def main() -> None:
    """Load the model and answer until the process is ended."""
    prepare_environment()
    address, folder, dtype, threads, *batching = sys.argv[1:]
    import uvicorn
    from transformers.cli.serve import Serve

    set_torch_threads(int(threads))
    where: dict[str, Any] = {"port": int(address)} if address.isdigit() else {"uds": address}
    host = {"host": "127.0.0.1"} if address.isdigit() else {}
    # Serve() makes its uvicorn.Config with a host and a port only.
    config: Any = uvicorn.Config
    uvicorn.Config = functools.partial(_config, config, {**where, **host})  # type: ignore[misc, assignment]
    pages = {"continuous_batching": True, "cb_num_blocks": int(batching[0]), "cb_max_batch_tokens": 256} if batching else {}
    Serve(force_model=folder, device="auto", dtype=dtype, **pages)


def _config(made: Any, ours: dict[str, Any], app: Any, **given: Any) -> Any:
    return made(app, **{**given, **ours, "log_level": "warning"})


if __name__ == "__main__":
    main()
