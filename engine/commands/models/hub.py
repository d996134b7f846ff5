"""Commands about the Hub: search it, read a card, sign in and out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import field_validator, model_validator

from engine.commands.base import Desk, Field, Now
from engine.commands.system import human
from engine.errors import BitternError, HubError
from engine.hub.find import parameters
from engine.results import Result, Table

if TYPE_CHECKING:
    from engine.hub.account import Account
    from engine.hub.choose import Choice
    from engine.hub.repository import Found, Repository

FILES_SHOWN = 40


class Find(Now):
    """Search the Hub for models or datasets. Nothing is downloaded; `card` tells more of one, `pull` or `add` brings it."""

    verb = "find"
    effect = "network"
    words = ("query",)
    rest = True
    examples = ("find smollm2", "find --task text-classification --max-size 200M --sort likes", "find tickets --kind datasets --open")

    query: str = Field("", description="Words in the name")
    kind: Literal["models", "datasets"] = Field("models", description="What to look for")
    task: str = Field("", description="Only for this task: text-generation, text-classification, question-answering, …")
    library: str = Field("", description="Only for this library or format: transformers, gguf, peft, sentence-transformers")
    licence: str = Field("", description="Only under this licence: apache-2.0, mit, …")
    min_size: str = Field("", description="Models of at least so many parameters: 1B, 135M")
    max_size: str = Field("", description="Models of at most so many parameters")
    gated: bool = Field(False, description="Only those that ask for access first")
    open: bool = Field(False, description="Only those that anybody may take")
    sort: Literal["downloads", "likes", "trending", "updated"] = Field("downloads", description="What stands first")
    limit: int = Field(20, ge=1, le=200, description="How many at most")

    @field_validator("min_size", "max_size")
    @classmethod
    def _is_a_size(cls, value: str) -> str:
        if value:
            parameters(value)
        return value

    @model_validator(mode="after")
    def _agrees(self) -> Find:
        if self.gated and self.open:
            raise ValueError("--gated and --open exclude each other")
        if self.kind == "datasets" and (self.min_size or self.max_size):
            raise ValueError("--min-size and --max-size count a model's parameters; datasets have none")
        return self

    def run(self, desk: Desk) -> Result:
        from engine.hub.find import Wish, find

        wish = Wish(
            self.query, self.kind, self.task, self.library, self.licence,
            parameters(self.min_size) if self.min_size else 0, parameters(self.max_size) if self.max_size else 0,
            True if self.gated else False if self.open else None, self.sort, self.limit,
        )  # fmt: skip
        found = find(desk.workspace.settings, wish, desk.cancel)
        here = {record.source for record in desk.workspace.models.all()} | {
            record.source.removeprefix("hf:") for record in desk.workspace.datasets.all()
        }
        data = {"kind": self.kind, "found": [{**as_data(item), "here": item.id in here} for item in found]}
        if not found:
            return Result(f"The Hub has no {self.kind} like that. Try fewer words or filters.", data)
        noun = self.kind[:-1] if len(found) == 1 else self.kind
        bring = "pull" if self.kind == "models" else "add"
        more = " There may be more: --limit." if len(found) == self.limit else ""
        return Result(f"{len(found)} {noun}.{more} `card ID` tells more of one, `{bring} ID` brings it.", data, _table(found, self.kind))


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


class Login(Now):
    """Sign in at the Hub with an access token, for gated and private models. It is checked, then kept in the Hub's own store.

    On the screen a box asks for it, unseen. In a shell it is read from a prompt, from a pipe (`login < token.txt`) or
    from HF_TOKEN, never from the line itself.
    """

    verb = "login"
    effect = "network"
    secret = True
    asking = "Token to login with (it is not shown; empty takes HF_TOKEN): "
    examples = ("login",)

    def run(self, desk: Desk) -> Result:
        from engine.hub.account import from_environment, sign_in

        token = desk.secret or from_environment()
        if not token:
            raise HubError(
                "No token was given.", "Make one in your settings at the Hub (Access Tokens, read), then type login and paste it when asked."
            )
        account = sign_in(desk.workspace.settings, token, desk.cancel)
        return _signed(account, "You are signed in as")


class Whoami(Now):
    """Say who is signed in at the Hub, and what the token may do."""

    verb = "whoami"
    effect = "network"
    examples = ("whoami",)

    def run(self, desk: Desk) -> Result:
        from engine.hub.account import who

        account = who(desk.workspace.settings, desk.cancel)
        if account is None:
            return Result("Nobody is signed in. Open models need no account; `login` signs in for gated and private ones.", {"name": None})
        return _signed(account, "You are")


class Logout(Now):
    """Sign out: remove the token from the Hub's store on this machine."""

    verb = "logout"
    effect = "write"
    examples = ("logout",)

    def run(self, desk: Desk) -> Result:  # noqa: ARG002
        from engine.hub.account import sign_out

        still = sign_out()
        return Result(
            "The token is removed from this machine's store." + (" HF_TOKEN is set and is still used: unset it too." if still else ""),
            {"signed_in": still},
        )


def as_data(found: Found) -> dict[str, Any]:
    """A listed model or dataset as the stable JSON of ``--json``."""
    return {
        "id": found.id, "kind": found.kind, "task": found.task, "library": found.library, "licence": found.licence,
        "parameters": found.parameters or None, "bytes": found.bytes or None, "rows": found.rows, "downloads": found.downloads,
        "likes": found.likes, "gated": found.gated, "private": found.private, "updated": found.updated,
    }  # fmt: skip


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


def _table(found: list[Found], kind: str) -> Table:
    from engine.hub.find import count_of

    def mark(item: Found) -> str:
        return "private" if item.private else "gated" if item.gated else ""

    if kind == "datasets":
        return Table(
            ["dataset", "task", "rows", "licence", "downloads", "updated", ""],
            [[item.id, item.task, item.rows, item.licence, f"{item.downloads:,}", item.updated, mark(item)] for item in found],
        )
    return Table(
        ["model", "task", "size", "licence", "downloads", "updated", ""],
        [
            [item.id, item.task, count_of(item.parameters) if item.parameters else "", item.licence, f"{item.downloads:,}", item.updated, mark(item)]
            for item in found
        ],
    )


def _signed(account: Account, lead: str) -> Result:
    token = f" with the token “{account.token}”" if account.token else ""
    role = f" ({account.role})" if account.role else ""
    groups = f" Organisations: {', '.join(account.organisations)}." if account.organisations else ""
    data = {"name": account.name, "organisations": list(account.organisations), "token": account.token, "role": account.role, "kept": account.kept}
    return Result(f"{lead} {account.name}{token}{role}, from {account.kept}.{groups}", data)


def _json(text: str) -> dict[str, Any]:
    import json

    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _plain_data(metadata: dict[str, Any]) -> dict[str, Any]:
    """The card's YAML as JSON can hold it."""
    import json

    plain: dict[str, Any] = json.loads(json.dumps(metadata, default=str))
    return plain
