"""Searching, cards and signing in, against a real local server that speaks the Hub's API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from engine.commands.registry import VERBS
from engine.engine import Engine
from engine.errors import HubError, NotFound, Stopped, WordsError
from engine.hub.client import explain_hub, wait_of
from engine.hub.find import count_of, parameters
from engine.hub.repository import plain
from engine.store.models import ModelRecord
from tests.fakes.files import gguf_file, safetensors_file
from tests.fakes.hub import TOKEN, Hub, Trouble, listing
from tests.fakes.online import go_online

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CARD = b"---\nlicense: mit\n---\n# Heron\n<!-- hidden --><img src='x.png'>\nIt **stands**. ![](a.png)\n"
FILES = {
    "README.md": CARD, "config.json": json.dumps({"num_hidden_layers": 2, "hidden_size": 64}).encode(), "tokenizer.json": b"{}",
    "model.safetensors": safetensors_file({"a": (10, 10)}), "pytorch_model.bin": b"x",
}  # fmt: skip
LISTED = [
    listing("org/heron", pipeline_tag="text-generation", safetensors={"parameters": {"BF16": 1_700_000_000}, "total": 1_700_000_000}),
    listing("org/heron-gguf", gguf={"total": 135_000_000}, gated="manual"),
]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Hub]:
    def start(files: dict[str, bytes] | None = None, **about: Any) -> Hub:
        hub = Hub(FILES if files is None else files, listed=LISTED, **about)
        go_online(monkeypatch, tmp_path, hub)
        return hub

    return start


def test_a_search_asks_with_its_filters_and_tells_what_matters(engine: Engine, serve: Callable[..., Hub]) -> None:
    hub = serve()
    result = engine.run(
        engine.parse("find heron --task text-generation --library gguf --licence mit --min-size 1B --max-size 2.5B --open --sort trending")
    )
    asked = next(line for line in hub.asked if "search=heron" in line)
    for part in (
        "pipeline_tag=text-generation",
        "filter=gguf",
        "license%3Amit",
        "min%3A1B%2Cmax%3A2.5B",
        "gated=false",
        "sort=trendingScore",
        "limit=20",
    ):
        assert part in asked, (part, asked)
    first, second = result.data["found"]
    assert (first["id"], first["parameters"], first["bytes"], first["licence"], first["updated"]) == (
        "org/heron", 1_700_000_000, 3_400_000_000, "mit", "2026-05-01",
    )  # fmt: skip
    assert second["gated"] == "manual" and result.table and result.table.rows[1][-1] == "gated"
    data = engine.run(engine.parse("find --kind datasets --task question-answering --gated"))
    assert data.data["found"] and "task_categories%3Aquestion-answering" in hub.asked[-1] and "/api/datasets" in hub.asked[-1]
    assert "Try fewer words" in engine.run(engine.parse("find nothing-like-this")).summary


@pytest.mark.parametrize("line", ["find --max-size twelve", "find --gated --open", "find --kind datasets --max-size 1B", "find --sort colour"])
def test_wrong_filters_are_told_before_anybody_is_asked(engine: Engine, line: str) -> None:
    with pytest.raises(WordsError) as caught:
        engine.parse(line)
    assert caught.value.message[0] not in ": "


def test_a_card_says_what_pull_would_take(engine: Engine, serve: Callable[..., Hub]) -> None:
    serve(tags=["license:mit"], safetensors={"parameters": {"F32": 100}, "total": 100})
    result = engine.run(engine.parse("card org/heron"))
    taken = {item["file"] for item in result.data["files"] if item["taken"]}
    assert taken == {"README.md", "config.json", "tokenizer.json", "model.safetensors"} and result.data["licence"] == "mit"
    assert result.data["fit"]["verdict"] == "fits" and result.data["card"] == "# Heron\n\nIt **stands**."
    assert "pull org/heron" in result.summary
    serve({"m-Q4_K_M.gguf": gguf_file(), "m-Q8_0.gguf": gguf_file(400)})
    result = engine.run(engine.parse("card org/m --quantisation Q8_0"))
    assert result.data["quantisation"] == "Q8_0" and [item["name"] for item in result.data["quantisations"]] == ["Q4_K_M", "Q8_0"]
    serve({"pytorch_model.bin": b"x"})
    assert "pickled" in engine.run(engine.parse("card org/old")).summary
    serve(gated="manual")
    assert "ask for access" in engine.run(engine.parse("card org/gated")).summary, "what is gated still shows what it is"
    with pytest.raises(HubError, match="no name on the Hub"):
        engine.run(engine.parse("card heron"))


def test_refusals_and_slow_answers(home: Path, serve: Callable[..., Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITTERN_HUB_STALL", "1")
    hub = serve()
    engine = Engine(home, working=False)
    try:
        hub.trouble = Trouble(busy=1, retry_after="7")
        with pytest.raises(HubError, match="slow down") as caught:
            engine.run(engine.parse("find heron"))
        assert "7 s" in caught.value.hint
        monkeypatch.setattr(Hub, "search_waits", 30.0)
        with pytest.raises(HubError, match="has not answered for 1 s"):
            engine.run(engine.parse("find heron"))
        token = engine.token()
        threading.Timer(0.3, lambda: token.ask("cancel")).start()
        began = time.monotonic()
        with pytest.raises(Stopped):
            engine.run(engine.parse("find heron"), cancel=token)
        assert time.monotonic() - began < 1
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        with pytest.raises(HubError, match="does not answer") as caught:
            engine.run(engine.parse("find heron"))
        assert "local folder" in caught.value.hint
    finally:
        engine.close(5)


def test_who_is_no_hub_and_what_is_the_disk_s_own_fault_is_not_called_a_broken_connection(engine: Engine, serve: Callable[..., Hub]) -> None:
    serve().listed = [listing("org/heron", safetensors={"total": 3})]
    with pytest.raises(HubError, match="does not speak as the Hub does") as caught:
        engine.run(engine.parse("find heron"))
    assert "HF_ENDPOINT" in caught.value.hint
    told = explain_hub(FileNotFoundError(2, "No such file or directory", "/cache/blob.part"), "org/heron")
    assert "/cache/blob.part can't be written: No such file" in told.message


def test_here_means_of_the_same_kind(engine: Engine, serve: Callable[..., Hub]) -> None:
    serve()
    engine.workspace.models.put(ModelRecord("heron", "chat", "org/heron", 1))
    here = {kind: engine.run(engine.parse(f"find heron --kind {kind}")).data["found"][0]["here"] for kind in ("models", "datasets")}
    assert here == {"models": True, "datasets": False}


def test_fit_of_a_model_that_is_not_here_names_the_card(engine: Engine) -> None:
    with pytest.raises(NotFound) as caught:
        engine.run(engine.parse("fit org/heron"))
    assert "`card org/heron`" in caught.value.hint


def test_how_long_to_wait() -> None:
    assert wait_of(429, {"retry-after": "12"}) == 12
    assert wait_of(429, {"ratelimit": '"api";r=0;t=55'}) == 55
    assert wait_of(429, {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0
    assert wait_of(429, {}) == 10 and wait_of(503, {}) is None and wait_of(200, {"retry-after": "9"}) is None


def test_sizes_and_cards_in_words() -> None:
    assert (parameters("135M"), parameters("1.5b"), parameters("7_000")) == (135_000_000, 1_500_000_000, 7000)
    assert (count_of(135_000_000), count_of(8_030_000_000), count_of(12)) == ("135M", "8.03B", "12")
    assert plain("---\na: 1\n---\n# T\n<div align='center'>x</div>\n2 < 3") == "# T\nx\n2 < 3"


def test_a_token_on_a_line_is_refused_and_not_repeated(engine: Engine) -> None:
    with pytest.raises(WordsError) as caught:
        engine.parse(f"login {TOKEN}")
    assert TOKEN not in json.dumps(caught.value.as_dict())
    with pytest.raises(HubError, match="No token"):
        engine.run(engine.parse("login"))
    assert {"find", "card", "login", "whoami", "logout"} <= set(VERBS)


@pytest.mark.slow
def test_signing_in_from_a_shell(home: Path) -> None:
    hub = Hub(FILES)
    where = {"HF_ENDPOINT": hub.address, "HF_HOME": str(home / "hf"), "HF_HUB_OFFLINE": "0", "BITTERN_HOME": str(home / "work")}
    environment = {key: value for key, value in os.environ.items() if key not in ("HF_TOKEN", "HF_HUB_CACHE")} | where

    def bittern(*words: str, pipe: str = "") -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "tui", *words], env=environment, input=pipe, capture_output=True, text=True, timeout=90, check=False
        )
        return done.returncode, done.stdout + done.stderr

    code, told = bittern("login", pipe="hf_wrong\n")
    assert code == 1 and "does not know this token" in told and not (home / "hf" / "token").exists()
    code, told = bittern("login", pipe=f"{TOKEN}\n")
    assert code == 0 and "signed in as heron" in told and TOKEN not in told
    assert (home / "hf" / "token").read_text() == TOKEN and (home / "hf" / "token").stat().st_mode & 0o077 == 0
    code, told = bittern("--json", "whoami")
    assert json.loads(told)["name"] == "heron"
    bittern("logout")
    assert not (home / "hf" / "token").exists() and not (home / "hf" / "stored_tokens").exists()
    for file in (home / "work").rglob("*"):
        assert not file.is_file() or TOKEN.encode() not in file.read_bytes(), file
