"""Serving a model until it is asked to stop: the engine, the door, the token and the figures."""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import secrets
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.errors import JobError, ModelError, Stopped
from engine.models.adapter_gguf import cannot, convert_adapter
from engine.models.load import resolve
from engine.paths import write_atomic, write_json
from engine.results import Result, Table
from engine.serving.door import Door, Served
from engine.serving.figures import Figures, Snapshot
from engine.serving.upstream import Here, Remote, Upstream, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from engine.jobs.context import JobContext
    from engine.store.models import ModelRecord
    from engine.store.workspace import Workspace

FULL_LINES = 500
"""Requests that get a line each in the job's log; later ones do where they fail. ``requests.log`` has them all."""


@dataclass(frozen=True, slots=True)
class Spec:
    """What to serve and where. ``engine``: llama.cpp, transformers, encoder, vllm, tgi; ``port`` 0 is a free one."""

    model: str
    engine: str
    host: str
    port: int
    parallel: int
    token_env: str = ""


def choose_engine(workspace: Workspace, record: ModelRecord, asked: str) -> str:
    """The engine that serves a model. Raises ``ModelError`` for a pair that does not go together."""
    if record.kind == "encoder":
        known, why = ["encoder"], "it is an encoder"
    elif record.kind in ("chat", "adapter"):
        known = ["transformers", "vllm", "tgi"]
        why = cannot(record, workspace.models.get(record.base)) if record.kind == "adapter" else "" if record.gguf else "it has no GGUF file"
        known = known if why else ["llama.cpp", *known]
    else:
        raise ModelError(f"“{record.name}” is a {record.kind}: there is no server for it.", "Serve a chat model, an adapter or an encoder.")
    if asked == "auto":
        return known[0]
    if asked not in known:
        raise ModelError(f"{asked} does not serve “{record.name}”: {why}.", f"Leave --engine open: then it is {known[0]}.")
    return asked


def serve(job: JobContext, spec: Spec) -> Result:
    """Serve until a stop is asked for; then the figures. A pause (Bittern was closed) raises ``Stopped``, and a resumed
    job serves again with the same token. Raises ``ModelError``, ``JobError``."""
    token = _token(job, spec)
    # The address first: what is taken is known before a model is loaded.
    before = _kept(job)
    figures = Figures()
    began = time.monotonic()
    job.progress(0, None, "requests", "loading the model")
    upstream = _start(job, spec)
    with closing(upstream):
        served = Served(spec.model, upstream, token, figures, int(time.time()), _sees(job.workspace, spec))
        door = _open(spec, served, int(before.get("port", 0)) if job.resumed else 0)
        place: dict[str, Any] = {
            "model": spec.model,
            "engine": upstream.engine,
            "host": spec.host,
            "port": door.server_address[1],
            "base_url": _url(spec.host, door),
        }
        write_json(
            job.folder / "serve.json", {**place, "token_file": "" if spec.token_env else str(job.folder / "token"), "token_env": spec.token_env}
        )
        thread = threading.Thread(target=door.serve_forever, kwargs={"poll_interval": 0.1}, name="door", daemon=True)
        thread.start()
        try:
            _announce(job, place, upstream, spec)
            last = _watch(job, upstream, figures, place["base_url"])
        finally:
            door.shutdown()
            door.server_close()
    if job.token.how == "pause":
        raise Stopped("pause")
    return _told(place, last, time.monotonic() - began)


def recipes(place: dict[str, Any]) -> str:
    """How to speak to it: lines to copy for a shell and, after an empty one, for Python. The token is named by where it is, never
    written out."""
    url, model = place["base_url"], place["model"]
    env, file = place.get("token_env"), place.get("token_file")
    shell = f"${env}" if env else f"$(cat {file})"
    python = f'os.environ["{env}"]' if env else f'open("{file}").read()'
    if place["engine"] == "encoder":
        path, body = "embeddings", f'{{"model": "{model}", "input": "a heron at the water"}}'
        call, shown = f'client.embeddings.create(\n    model="{model}", input="a heron at the water"\n)', "data[0].embedding[:5]"
    else:
        path, body = "chat/completions", f'{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}'
        call = f'client.chat.completions.create(\n    model="{model}", messages=[{{"role": "user", "content": "Hello"}}]\n)'
        shown = "choices[0].message.content"
    opening = "import os\n" if env else ""
    return (
        f"curl {url}/{path} \\\n  -H \"Authorization: Bearer {shell}\" \\\n  -H 'Content-Type: application/json' \\\n  -d '{body}'\n\n"
        f'{opening}from openai import OpenAI\nclient = OpenAI(\n    base_url="{url}",\n    api_key={python},\n)\nanswer = {call}\nprint(answer.{shown})'
    )


def _token(job: JobContext, spec: Spec) -> str:
    """The token that clients must send: from the environment, kept from before, or a new one, readable by nobody else."""
    if spec.token_env:
        if not (found := os.environ.get(spec.token_env, "").strip()):
            raise JobError(f"The environment variable {spec.token_env} is empty where the server starts.", "Set it, and start Bittern anew.")
        return found
    file = job.folder / "token"
    if job.resumed and file.is_file():
        return file.read_text("utf-8").strip()
    token = f"bt-{secrets.token_urlsafe(32)}"
    write_atomic(file, token)  # 0600: a temporary file is made so
    return token


def _kept(job: JobContext) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((job.folder / "serve.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def _start(job: JobContext, spec: Spec) -> Here | Remote:
    """The engine, loaded and answering. Raises ``ModelError``; ``Stopped`` when a stop is asked for meanwhile."""
    from engine.serving.process import ServerProcess, other, transformers_serve

    record, settings = job.workspace.models.get(spec.model), job.workspace.settings
    if spec.engine == "llama.cpp":
        from engine.serving.llama import LlamaServer

        if record.kind != "adapter":
            return LlamaServer(record.name, record, settings, spec.parallel)
        base = job.workspace.models.get(record.base)
        return LlamaServer(record.name, base, settings, spec.parallel, convert_adapter(job.workspace, record, base))
    if spec.engine == "encoder":
        from engine.serving.embedder import Embedder

        return Embedder(record.name, resolve(job.workspace, record)[0], settings.threads)
    folder, adapter = _weights(job, record)
    log = job.folder / "server.log"
    if spec.engine == "transformers":
        started: ServerProcess = transformers_serve(folder, adapter, settings, spec.parallel, log)
    else:
        started = other(spec.engine, record.name, folder, adapter, spec.parallel, settings.context, log)
        job.log(f"{started.engine} is started as its manual says, but was never tried by Bittern's makers: they had no GPU.", "warning")
    try:
        if not wait_until(started.healthy, started.check, job.token.wait):
            job.check()
    except BaseException:
        started.close()
        raise
    return started


def _sees(workspace: Workspace, spec: Spec) -> bool:
    """Whether what is served sees: with a projector beside a GGUF, or with eyes of its own."""
    record = workspace.models.get(spec.model)
    facts = (workspace.models.get(record.base) if record.kind == "adapter" else record).facts
    return bool(facts.get("mmproj")) if spec.engine == "llama.cpp" else facts.get("sees") == "pictures"


def _weights(job: JobContext, record: ModelRecord) -> tuple[Path, Path | None]:
    """The transformers folder of a model, made from its GGUF where that is all there is, and the adapter on it."""
    from engine.models.convert import trainable_folder

    base = job.workspace.models.get(record.base) if record.kind == "adapter" else record
    if not base.folder:
        trainable_folder(job, base)
    return resolve(job.workspace, job.workspace.models.get(record.name))


def _open(spec: Spec, served: Served, before: int) -> Door:
    """The door, at the port asked for; else where it was before, if that is free, or at any free one. Raises ``JobError``."""
    if before and not spec.port:
        try:
            return Door(spec.host, before, served)
        except OSError:
            pass
    try:
        return Door(spec.host, spec.port, served)
    except (OSError, OverflowError) as error:
        said = getattr(error, "strerror", None) or error
        raise JobError(f"{spec.host}:{spec.port} can't be listened on: {said}.", "Choose another --port, or leave it open for a free one.") from None


def _url(host: str, door: Door) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{door.server_address[1]}/v1"


def _announce(job: JobContext, place: dict[str, Any], upstream: Upstream, spec: Spec) -> None:
    kept = _kept(job)
    job.log(f"Serving {spec.model} at {place['base_url']} ({upstream.note})")
    job.log(f"Its token is in the variable {spec.token_env}" if spec.token_env else f"Its token is in {kept['token_file']}")
    if spec.host not in ("127.0.0.1", "localhost", "::1"):
        job.log(
            f"It listens on {spec.host}: whoever can reach this machine can try the token, and the connection is not encrypted. "
            "Put a reverse proxy with TLS in front of it.", "warning",
        )  # fmt: skip
    job.log(f"Lines to copy for curl and Python: servers {job.id}")


def _watch(job: JobContext, upstream: Upstream, figures: Figures, url: str) -> Snapshot:
    """Report until a stop is asked for, or the engine is gone (``ModelError``)."""
    written = _access_log(job.folder / "requests.log")
    began = said_at = time.monotonic()
    last, told, shown = figures.snapshot(), 0, -1
    try:
        while True:
            stopping = job.token.wait(0.25)
            upstream.check()
            for line in figures.lines():
                written.info(line)
                told += 1
                if told <= FULL_LINES or int(line.split()[2]) >= 400:
                    job.log(line)
                if told == FULL_LINES:
                    job.log("From here on only failed requests are told here; requests.log in the job's folder has them all.")
            found, moment = figures.snapshot(), time.monotonic()
            # A server runs for days: the points of its curves thin out as it grows old.
            if moment - said_at >= max(1.0, (moment - began) / 600) or stopping:
                rate = (found.tokens - last.tokens) / (moment - said_at)
                if found.requests != last.requests or found.active or last.active or shown < 0:
                    _measure(job, int(moment - began), found, (found.requests - last.requests) / (moment - said_at), rate)
                    job.progress(found.requests, None, "requests", f"{url} · {found.active} active · {rate:.0f} tok/s")
                shown = found.requests
                last, said_at = found, moment
            if stopping:
                return found
    finally:
        for handler in list(written.handlers):
            written.removeHandler(handler)
            handler.close()


def _measure(job: JobContext, second: int, found: Snapshot, requests: float, tokens: float) -> None:
    values = {
        "requests": found.requests, "requests_per_second": requests, "latency_p50_ms": 1000 * found.p50, "latency_p95_ms": 1000 * found.p95,
        "tokens_per_second": tokens, "active": found.active,
    }  # fmt: skip
    for name, value in values.items():
        job.metric(second, name, round(value, 3))


def _access_log(file: Path) -> logging.Logger:
    """Every request in a file that does not grow for ever: method, path, status, time."""
    logger = logging.Logger("requests")
    handler = logging.handlers.RotatingFileHandler(file, maxBytes=5_000_000, backupCount=1, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger.addHandler(handler)
    return logger


def _told(place: dict[str, Any], found: Snapshot, seconds: float) -> Result:
    figures = {
        "requests": found.requests, "failed": found.failed, "tokens": found.tokens, "seconds": round(seconds, 1),
        "latency_p50_ms": round(1000 * found.p50, 1), "latency_p95_ms": round(1000 * found.p95, 1),
    }  # fmt: skip
    table = Table(["", ""], [[name.replace("_", " "), f"{value:,}"] for name, value in figures.items()])
    summary = f"{place['model']} was served at {place['base_url']}: {found.requests:,} requests, {found.failed:,} failed, {found.tokens:,} tokens."
    return Result(summary, {**place, **figures}, table)
