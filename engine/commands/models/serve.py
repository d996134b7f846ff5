"""Commands about serving: start a server, list those that run."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from engine.commands.base import Desk, Field, Now, Work
from engine.errors import BitternError, JobError, NotFound
from engine.results import Result, Table

if TYPE_CHECKING:
    from engine.jobs.context import JobContext
    from engine.store.jobs import JobRecord


class Serve(Work):
    """Serve a model to other programs, by OpenAI's API, until it is cancelled.

    A GGUF (with a LoRA adapter on it, too) is served by llama.cpp, any other chat model by transformers serve, an encoder by
    /v1/embeddings.
    vLLM and TGI are started where they are installed. It listens on this machine alone unless --host says otherwise, and
    wants a token, which lies in the job's folder: `servers` shows where, and lines to copy. A server can't be paused.
    """

    verb = "serve"
    effect = "compute"
    slot = "serve"
    pauses: ClassVar[bool] = False
    words = ("model",)
    completes = {"model": "models"}
    examples = ("serve smollm2", "serve smollm2 --port 8000 --parallel 8", "serve minilm", "serve tickets-adapter --engine transformers")

    model: str = Field("", description="Which model (the one in use)")
    engine: Literal["auto", "llama.cpp", "transformers", "vllm", "tgi"] = Field("auto", description="What runs it; auto follows from the model")
    host: str = Field("127.0.0.1", min_length=1, description="Where to listen; anything but 127.0.0.1 lets others in")
    port: int = Field(0, ge=0, le=65535, description="Which port; 0 takes a free one")
    parallel: int = Field(4, ge=1, le=64, description="Requests that are worked on at the same time")
    token_env: str = Field("", description="Take the token from this environment variable instead of making one")

    def title(self) -> str:
        return f"serve {self.model}".strip()

    def prepare(self, desk: Desk) -> Serve:
        from engine.serving.process import check_installed
        from engine.serving.serve import choose_engine

        models = desk.workspace.models
        record = models.get(self.model) if self.model else desk.models.record()
        if record.kind == "adapter":
            models.get(record.base)
        engine = choose_engine(desk.workspace, record, self.engine)
        check_installed(engine)
        if self.token_env and not re.fullmatch(r"[A-Za-z_]\w*", self.token_env):
            raise BitternError("--token-env takes the name of a variable, not the token.", "For example: --token-env BITTERN_SERVE_TOKEN")
        if self.token_env and not os.environ.get(self.token_env, "").strip():
            raise BitternError(f"The environment variable {self.token_env} is empty.", "Set it to the token, or leave --token-env out.")
        if self.port:
            _check_free(self.host, self.port)
        return self.model_copy(update={"model": record.name, "engine": "auto" if engine == "encoder" else engine})

    def work(self, job: JobContext) -> Result:
        from engine.serving.serve import Spec, choose_engine, serve

        engine = choose_engine(job.workspace, job.workspace.models.get(self.model), self.engine)
        return serve(job, Spec(self.model, engine, self.host, self.port, self.parallel, self.token_env))


class Servers(Now):
    """List the servers that run, with lines to copy for one of them; --token shows its token."""

    verb = "servers"
    words = ("job",)
    examples = ("servers", "servers 7", "servers 7 --token")
    completes = {"job": "jobs"}

    job: str = Field("", description="The number of a serve job")
    token: bool = Field(False, description="Show the token itself")

    def run(self, desk: Desk) -> Result:
        running = {record.id: place for record in desk.workspace.jobs.running() if record.verb == "serve" and (place := place_of(desk, record))}
        if not self.job and not (self.token and len(running) == 1):
            rows = [[number, place["model"], place["engine"], place["base_url"]] for number, place in running.items()]
            said = f"{len(rows)} server{'s' if len(rows) != 1 else ''}." if rows else "No model is served. Start one: serve MODEL"
            return Result(
                said,
                {"servers": [{"job": number, **place} for number, place in running.items()]},
                Table(["job", "model", "engine", "base url"], rows),
            )
        number = self.job or next(iter(running))
        if number not in running:
            record = desk.workspace.jobs.get(number)
            raise NotFound(f"Job {number} is no server that runs: it is “{record.title}”, {record.state}.", "`servers` lists those that run.")
        return self._one(number, running[number])

    def _one(self, number: str, place: dict[str, Any]) -> Result:
        from engine.serving.serve import recipes

        data = {"job": number, **place, "recipes": recipes(place)}
        shown = ""
        if self.token:
            if place["token_env"]:
                raise BitternError(f"The token came from the variable {place['token_env']}: it is kept nowhere else.", "Look there.")
            shown = data["token"] = Path(place["token_file"]).read_text("utf-8").strip()
        where = f"in the variable {place['token_env']}" if place["token_env"] else f"in {place['token_file']}"
        rows = [["model", place["model"]], ["engine", place["engine"]], ["base url", place["base_url"]], ["token", shown or where]]
        return Result(f"{place['model']} is served by job {number}.", data, Table(["", ""], rows), body=_to_copy(data["recipes"]))


def _to_copy(recipes: str) -> str:
    """The lines in Markdown, as they stand: in a paragraph those of Python would be run into one."""
    shell, python = recipes.split("\n\n", 1)
    return f"```sh\n{shell}\n```\n\n```python\n{python}\n```"


def place_of(desk: Desk, record: JobRecord) -> dict[str, Any] | None:
    """Where a serve job listens; ``None`` while it is still loading."""
    try:
        found: dict[str, Any] = json.loads((desk.workspace.paths.job(record.id) / "serve.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found


def _check_free(host: str, port: int) -> None:
    """Raises ``JobError`` for an address that can't be had now, so that nobody waits for the model first."""
    import socket

    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise JobError(
            f"{host}:{port} can't be listened on: {error.strerror or error}.", "Choose another --port, or leave it out for a free one."
        ) from None
