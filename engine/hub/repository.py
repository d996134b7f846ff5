"""What the Hub says of one repository: its commit, its files with their sizes and hashes, its card."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from engine.hub.client import bound
from engine.hub.places import Remote
from engine.hub.probe import endpoint

if TYPE_CHECKING:
    from engine.settings import Settings

CARD_MOST = 200_000
"""Characters of a card that are read."""
CONFIG_MOST = 2_000_000
BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "I8": 1, "U8": 1, "BOOL": 1}


@dataclass(frozen=True, slots=True)
class Found:
    """A model or dataset as the Hub lists it. ``parameters`` and ``bytes`` are 0 where they are not told; ``gated`` is
    empty, ``auto`` or ``manual``; ``updated`` an ISO 8601 date; ``rows`` the class of a dataset's size."""

    id: str
    kind: str
    task: str = ""
    library: str = ""
    licence: str = ""
    parameters: int = 0
    bytes: int = 0
    downloads: int = 0
    likes: int = 0
    gated: str = ""
    private: bool = False
    updated: str = ""
    rows: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Repository:
    """``sha`` is the commit that a revision stands for now. ``metadata`` is the card's YAML."""

    found: Found
    sha: str
    files: tuple[Remote, ...]
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def sizes(self) -> dict[str, int]:
        return {file.name: file.bytes for file in self.files}


def look(client: Any, repository: str, revision: str = "", kind: str = "model") -> Repository:
    """Ask for a repository, its files included. Raises what the Hub's client raises."""
    ask = client.model_info if kind == "model" else client.dataset_info
    info = ask(repository, revision=revision or None, files_metadata=True)
    files = tuple(_remote(client, repository, str(info.sha), kind, file) for file in info.siblings or [])
    card = info.card_data.to_dict() if info.card_data is not None else {}
    return Repository(found_of(info, kind), str(info.sha), files, card)


def found_of(info: Any, kind: str) -> Found:
    """A ``ModelInfo`` or ``DatasetInfo`` in our own terms."""
    tags = [str(tag) for tag in info.tags or []]

    def tagged(lead: str) -> str:
        return next((tag.removeprefix(lead) for tag in tags if tag.startswith(lead)), "")

    weights = getattr(info, "safetensors", None)
    by_type: dict[str, int] = dict(weights.get("parameters") or {}) if weights else {}
    gguf = getattr(info, "gguf", None) or {}
    updated = info.last_modified.date().isoformat() if getattr(info, "last_modified", None) else ""
    return Found(
        id=str(info.id),
        kind=kind,
        task=str(getattr(info, "pipeline_tag", None) or tagged("task_categories:")),
        library=str(getattr(info, "library_name", None) or ""),
        licence=tagged("license:"),
        parameters=int(weights.get("total") or sum(by_type.values())) if weights else int(gguf.get("total") or 0),
        bytes=sum(count * BYTES.get(name, 2) for name, count in by_type.items()),
        downloads=int(info.downloads or 0),
        likes=int(info.likes or 0),
        gated=str(info.gated) if getattr(info, "gated", None) else "",
        private=bool(info.private),
        updated=updated,
        rows=tagged("size_categories:"),
        tags=tuple(tags),
    )


def read_text(settings: Settings, repository: str, sha: str, name: str, kind: str = "model", most: int = CARD_MOST) -> str:
    """The beginning of a small text file, at most ``most`` characters; empty where there is none. Nothing is cached."""
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    bound(settings)
    lead = "datasets/" if kind == "dataset" else ""
    with get_session().stream(
        "GET", f"{endpoint()}/{lead}{repository}/resolve/{sha}/{quote(name)}", headers=build_hf_headers(library_name="bittern")
    ) as answer:
        if answer.status_code == 404:
            return ""
        hf_raise_for_status(answer)
        pieces, size = [], 0
        for piece in answer.iter_bytes(65536):
            pieces.append(piece)
            size += len(piece)
            if size >= most:
                break
    return b"".join(pieces).decode("utf-8", "replace")[:most]


def plain(card: str) -> str:
    """A card as text to read: without its YAML head, comments, HTML and pictures, which a terminal cannot show."""
    card = re.sub(r"\A---\r?\n.*?\r?\n---\r?\n", "", card, flags=re.DOTALL)
    card = re.sub(r"<!--.*?-->", "", card, flags=re.DOTALL)
    card = re.sub(r"<(style|script)\b.*?</\1>", "", card, flags=re.DOTALL | re.IGNORECASE)
    card = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", card)
    card = re.sub(r"\[\s*\]\([^)]*\)", "", card)
    card = re.sub(r"</?[A-Za-z][^<>\n]{0,400}>", "", card)
    return re.sub(r"\n{3,}", "\n\n", card).strip()


def _remote(client: Any, repository: str, sha: str, kind: str, file: Any) -> Remote:
    """A file's size and hash; where the listing has none (a mirror) the file's own headers are asked."""
    if file.size is not None:
        return Remote(file.rfilename, int(file.size), str(file.lfs.sha256 if file.lfs else file.blob_id or ""))
    from huggingface_hub import hf_hub_url

    told = client.get_hf_file_metadata(url=hf_hub_url(repository, file.rfilename, repo_type=kind, revision=sha, endpoint=endpoint()))
    return Remote(file.rfilename, int(told.size or 0), str(told.etag or ""))
