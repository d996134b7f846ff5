"""card: what is known of a model or dataset of the Hub before it is brought."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from engine.commands.base import Desk, Field, Now
from engine.commands.models.find import as_data
from engine.commands.system import human
from engine.errors import BitternError, HubError
from engine.results import Result, Table

if TYPE_CHECKING:
    from engine.hub.choose import Choice
    from engine.hub.repository import Repository

FILES_SHOWN = 40


class Card(Now):
    """Show a model or dataset of the Hub before it is brought: its card, its files with sizes, and which `pull` would take.

    For a model it also says whether it would fit into this machine's memory.
    """

    verb = "card"
    effect = "network"
    words = ("repository",)
    examples = ("card HuggingFaceTB/SmolLM2-360M-Instruct", "card owner/name --kind datasets")

    repository: str = Field(description="organisation/name on the Hub")
    kind: Literal["models", "datasets"] = Field("models", description="What it is")
    revision: str = Field("", description="A branch, a tag or a commit")
    file: str = Field("", description="The weights that `pull --file` would take")
    quantisation: str = Field("", description="The GGUF quantisation that `pull --quantisation` would take")

    def run(self, desk: Desk) -> Result:
        from engine.hub.client import api, ask
        from engine.hub.pull import is_repository
        from engine.hub.repository import CONFIG_MOST, look, plain, read_text

        if not is_repository(self.repository):
            raise HubError(f"“{self.repository}” is no name on the Hub.", "Give organisation/name. `find` searches.")
        settings, kind = desk.workspace.settings, self.kind[:-1]
        client = api(settings, f"nothing can be told of {self.repository}", "Check the network. `models` lists what is here.")
        found = ask(lambda: look(client, self.repository, self.revision, kind), self.repository, desk.cancel, settings.hub_stall)

        def text_of(name: str, most: int) -> str:
            """A small file of it; nothing where it is gated: its listing is not."""
            if found.sizes.get(name, most + 1) > most:
                return ""
            try:
                return ask(
                    lambda: read_text(settings, self.repository, found.sha, name, kind, most), self.repository, desk.cancel, settings.hub_stall
                )
            except HubError:
                return ""

        text = text_of("README.md", CONFIG_MOST)
        choice, refused = self._choice(found)
        name = next((name for name in ("adapter_config.json", "config.json") if choice and name in choice.files), "")
        config = _json(text_of(name, CONFIG_MOST)) if name else {}
        data = self._data(found, choice, refused, config)
        data |= {"card": plain(text), "metadata": _plain_data(found.metadata)}
        return Result(self._summary(data), data, Table(["", ""], facts(data)), f"{_files(data)}\n\n{data['card']}")

    def _choice(self, found: Repository) -> tuple[Choice | None, BitternError | None]:
        from engine.devices import memory
        from engine.hub.choose import choose

        if self.kind == "datasets":
            return None, None
        try:
            return choose(found.sizes, self.file, self.quantisation, memory().free), None
        except BitternError as error:
            return None, error

    def _data(self, found: Repository, choice: Choice | None, refused: BitternError | None, config: dict[str, Any]) -> dict[str, Any]:
        from engine.hub.choose import quantisations

        taken = set(choice.files) if choice else set(found.sizes) if self.kind == "datasets" else set()
        files = [{"file": file.name, "bytes": file.bytes, "taken": file.name in taken} for file in found.files]
        size = sum(file.bytes for file in found.files if file.name in taken)
        return {
            **as_data(found.found), "revision": found.sha, "files": files, "bytes_taken": size,
            "bytes_all": sum(found.sizes.values()), "quantisation": choice.quantisation if choice else "",
            "quantisations": [{"name": item.name, "bytes": item.bytes} for item in quantisations(found.sizes)] if self.kind == "models" else [],
            "base": str(config.get("base_model_name_or_path") or ""), "refused": refused.as_dict() if refused else None,
            "fit": _fit(found, choice, config, size) if choice else None,
        }  # fmt: skip

    def _summary(self, data: dict[str, Any]) -> str:
        if data["refused"]:
            return f"{self.repository}: {data['refused']['message']} {data['refused']['hint']}"
        where = f"{self.repository} at {data['revision'][:7]}"
        if self.kind == "datasets":
            return f"{where}: {human(data['bytes_all'])} in {len(data['files'])} files. Bring it with: add {self.repository}"
        flags = f" --quantisation {self.quantisation}" if self.quantisation else f" --file {self.file}" if self.file else ""
        gated = " It is gated: ask for access on its page and `login` first." if data["gated"] else ""
        return f"{where}: {human(data['bytes_taken'])} would be taken. Bring it with: pull {self.repository}{flags}.{gated}"


def facts(data: dict[str, Any]) -> list[list[str]]:
    """What is worth knowing of a card's subject, as rows of a name and a value."""
    from engine.hub.find import count_of

    access = "gated: ask for access on its page" if data["gated"] else "private" if data["private"] else "open"
    rows = [
        ["task", data["task"]], ["library", data["library"]], ["licence", data["licence"] or "not told"],
        ["parameters", count_of(data["parameters"]) if data["parameters"] else ""], ["rows", data["rows"]], ["base", data["base"]],
        ["made from", _listed(data["metadata"].get("base_model"))], ["trained on", _listed(data["metadata"].get("datasets"))],
        ["languages", _listed(data["metadata"].get("language"))],
        ["downloads", f"{data['downloads']:,}"], ["likes", f"{data['likes']:,}"], ["access", access], ["updated", data["updated"]],
        ["commit", data["revision"]],
        ["quantisations", ", ".join(f"{item['name']} ({human(item['bytes'])})" for item in data["quantisations"])],
        ["would take", f"{human(data['bytes_taken'])} of {human(data['bytes_all'])}" + (f" ({data['quantisation']})" if data["quantisation"] else "")],
        ["memory", data["fit"]["says"] if data["fit"] else ""],
    ]  # fmt: skip
    return [row for row in rows if row[1]]


def _listed(value: Any) -> str:
    """A field of a card's YAML: one name, or a list of them."""
    names = [str(item) for item in value] if isinstance(value, list) else [str(value)] if value else []
    return ", ".join(names[:8]) + (" …" if len(names) > 8 else "")


def _files(data: dict[str, Any]) -> str:
    lines = [f"- {'**' if item['taken'] else ''}`{item['file'].replace('`', '')}`{'**' if item['taken'] else ''} {human(item['bytes'])}"
             for item in sorted(data["files"], key=lambda item: (not item["taken"], -item["bytes"]))]  # fmt: skip
    more = [f"- and {len(lines) - FILES_SHOWN} more"] if len(lines) > FILES_SHOWN else []
    return "\n".join(["Files (those in bold would be taken):", "", *lines[:FILES_SHOWN], *more])


def _fit(found: Repository, choice: Choice, config: dict[str, Any], size: int) -> dict[str, Any] | None:
    """Whether the model would fit into memory, by its config and the bytes of its weights."""
    from engine.devices import memory
    from engine.models.fit import BITS, dtype_of, fit_of_config, inference, verdict
    from engine.models.shapes import from_numbers

    if "adapter_config.json" in choice.files:
        return None
    free = memory().free
    try:
        if choice.gguf:
            dtype = dtype_of(choice.quantisation or "Q4_K_M")
            shape = from_numbers(found.found.parameters or int(size * 8 / BITS[dtype]))
            need = inference(shape, dtype=dtype, backend="llamacpp", bytes=size).total
        else:
            need = fit_of_config(config, size).total
    except ValueError:
        return None
    word = verdict(need, free)
    return {"need": need, "free": free, "verdict": word, "says": f"{word}: about {human(need)} to load, {human(free)} free"}


def _json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _plain_data(metadata: dict[str, Any]) -> dict[str, Any]:
    """The card's YAML as JSON can hold it."""
    plain: dict[str, Any] = json.loads(json.dumps(metadata, default=str))
    return plain
