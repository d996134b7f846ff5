"""A text as the tokens of a model, without loading it: from tokenizer.json, or from the vocabulary inside a GGUF."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import ModelError

if TYPE_CHECKING:
    from engine.store.models import ModelRecord
    from engine.store.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Token:
    """``piece`` as the vocabulary writes it; ``text`` is what it stands for in the input (characters ``start`` to
    ``end``; a character split over several tokens shows in the first); ``special``: a control token, such as the end of a turn."""

    id: int
    piece: str
    text: str
    start: int
    end: int
    special: bool
    bytes: str
    """The bytes it stands for, in hexadecimal: those of a byte-level piece, else of its text."""


class Counter:
    """A loaded tokenizer. Thread-safe."""

    def __init__(self, name: str, tokenizer: Any) -> None:
        self.name = name
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self._byte_level = "ByteLevel" in f"{tokenizer.pre_tokenizer!r}{tokenizer.decoder!r}"
        self._special = {number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special}

    @property
    def vocabulary(self) -> int:
        return int(self._tokenizer.get_vocab_size())

    def tokens(self, text: str, *, special: bool = False) -> list[Token]:
        """The tokens of a text; ``special``: with those that the tokenizer puts around it."""
        found = self._tokenizer.encode(text, add_special_tokens=special)
        tokens, seen = [], 0
        for number, piece, (start, end) in zip(found.ids, found.tokens, found.offsets, strict=True):
            part, special_one = text[max(start, seen) : end], number in self._special
            raw = b"" if special_one else bytes_of(piece, byte_level=self._byte_level)
            tokens.append(Token(number, piece, part, start, end, special_one, (raw or part.encode("utf-8", "surrogatepass")).hex(" ")))
            seen = max(seen, end)
        return tokens

    def count(self, texts: list[str]) -> list[int]:
        """Tokens of each text, without special ones around it."""
        return [len(found.ids) for found in self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)]


def counter(workspace: Workspace, name: str) -> Counter:
    """The tokenizer of a model, an adapter (its base's) or a trained tokenizer. Raises ``NotFound``, ``ModelError``."""
    record, file = tokenizer_of(workspace, name)
    if file.suffix == ".gguf":
        file = _from_gguf(workspace, record.name, file)
    return _load(name, str(file), file.stat().st_mtime_ns)


def at_once(workspace: Workspace, name: str, *, make: bool = False) -> Counter | None:
    """:func:`counter` where it takes no longer than reading a file; ``None`` where the tokenizer has to be taken out of a
    GGUF first, which with ``make`` begins in the background. Raises ``NotFound``, ``ModelError``."""
    record, file = tokenizer_of(workspace, name)
    if file.suffix == ".gguf" and not _made_from(workspace, record.name, file).is_file():
        if make and (key := str(file)) not in _making:
            _making.add(key)
            threading.Thread(target=_quietly, args=(workspace, record.name, file), name="take-tokenizer", daemon=True).start()
        return None
    return counter(workspace, name)


_making: set[str] = set()
"""GGUF files whose tokenizer was asked for in this process: one that can't be read is not tried again and again."""


def _quietly(workspace: Workspace, name: str, file: Path) -> None:
    with suppress(ModelError, OSError):
        _from_gguf(workspace, name, file)


def tokenizer_of(workspace: Workspace, name: str) -> tuple[ModelRecord, Path]:
    """The model that has the tokenizer (an adapter's base), and the tokenizer.json or the GGUF that holds it.

    Raises ``NotFound``, ``ModelError``.
    """
    record = workspace.models.get(name)
    if record.kind == "adapter":
        record = workspace.models.get(record.base)
    if record.kind == "endpoint":
        raise ModelError(f"“{record.name}” runs on a server, which can't be asked for its tokens.", "Use the tokenizer of a model that is here.")
    for file in (Path(record.folder or "/") / "tokenizer.json", Path(record.gguf or "/")):
        if file.is_file():
            return record, file
    raise ModelError(f"“{record.name}” has no tokenizer that can be read.", "It needs a tokenizer.json or a GGUF: pull it again.")


def _from_gguf(workspace: Workspace, name: str, file: Path) -> Path:
    """The tokenizer inside a GGUF as a tokenizer.json, made once. transformers rebuilds it, in a process of its own: it
    imports torch, which the screen's process never does. Takes seconds the first time. Raises ``ModelError``."""
    made = _made_from(workspace, name, file)
    if not made.is_file():
        made.parent.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "engine.models.tokens", str(file), str(made)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "HF_HUB_OFFLINE": "1"})
        if done.returncode:
            raise _unreadable(file, (done.stderr.strip().splitlines() or ["no reason was given"])[-1])
    return made


def _made_from(workspace: Workspace, name: str, file: Path) -> Path:
    stat = file.stat()
    return workspace.paths.models / ".tokenizers" / f"{name}-{stat.st_size}-{stat.st_mtime_ns}.json"


def _unreadable(file: Path, why: str) -> ModelError:
    return ModelError(f"The tokenizer in {file.name} can't be read: {why[:300]}", "Pull the model again.")


@lru_cache(maxsize=8)
def _load(name: str, file: str, changed: int) -> Counter:  # noqa: ARG001
    from tokenizers import Tokenizer

    try:
        return Counter(name, Tokenizer.from_file(file))
    except Exception as error:  # tokenizers raises bare Exceptions
        raise _unreadable(Path(file), str(error)) from None


def _convert(file: Path, out: Path) -> None:
    """What the process of :func:`_from_gguf` does."""
    from transformers import AutoTokenizer

    found = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name, local_files_only=True).backend_tokenizer
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    found.save(str(temporary))
    temporary.replace(out)


@lru_cache(maxsize=1)
def _alphabet() -> dict[str, int]:
    """GPT-2's letters for bytes: printable ones stand for themselves, the others for 256 and on, in their order."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [value for value in range(256) if value not in plain]
    return {**{chr(value): value for value in plain}, **{chr(256 + at): value for at, value in enumerate(others)}}


def bytes_of(piece: str, *, byte_level: bool) -> bytes:
    """The bytes of a byte-level piece (``Ġthe``) or a byte token (``<0x0A>``); empty for any other."""
    if byte_level:
        letters = _alphabet()
        return bytes(letters[letter] for letter in piece) if all(letter in letters for letter in piece) else b""
    if len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
        try:
            return bytes([int(piece[3:5], 16)])
        except ValueError:
            return b""
    return b""


if __name__ == "__main__":
    _convert(Path(sys.argv[1]), Path(sys.argv[2]))
