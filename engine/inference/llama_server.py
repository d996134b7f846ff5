"""llama.cpp's server inside this process, opened so that it can be closed again."""

from __future__ import annotations

import urllib.request
from typing import Any

STARTING_SECONDS = 60


def no_gpu(parameters: Any) -> bool:
    """Whether a model with these parameters is run by the CPU alone."""
    import xllamacpp

    processor = xllamacpp.ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_CPU
    return parameters.n_gpu_layers == 0 or all(device["type"] == processor for device in xllamacpp.get_device_info())


def open_server(parameters: Any, key: str) -> Any:
    """An ``xllamacpp.Server`` of ``parameters``: on a loopback port of its own, where ``key`` is asked for, and silent.

    It comes back when its loop runs. A server that is dropped before waits for ever: its end is announced to a loop
    that then begins (xllamacpp 2026.10). Raises what xllamacpp raises for a file that can't be loaded.
    """
    import xllamacpp

    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.api_keys = [key]
    parameters.endpoint_slots = True
    parameters.verbosity = -1
    parameters.warmup = False
    parameters.ui = False
    # To be fitted into a GPU's memory a model is read once more, for its sizes. Without a GPU that is half of the load, for nothing.
    parameters.fit_params = not no_gpu(parameters)
    server = xllamacpp.Server(parameters)
    # What the slots are doing is answered by the loop.
    request = urllib.request.Request(f"{server.listening_address}/slots", headers={"Authorization": f"Bearer {key}"})  # noqa: S310 (our own port)
    with urllib.request.urlopen(request, timeout=STARTING_SECONDS) as answer:  # noqa: S310
        answer.read()
    return server
