"""The model with a head that was asked last, kept warm in a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.jobs.host import Host
from engine.models.load import resolve

if TYPE_CHECKING:
    from engine.jobs.context import CancelToken
    from engine.store.models import ModelRecord
    from engine.store.workspace import Workspace


class Heads:
    """One model at a time: another takes its place. With ``hosted`` off it lives in this process."""

    def __init__(self, workspace: Workspace, *, hosted: bool) -> None:
        self._workspace, self._hosted = workspace, hosted
        self._key: tuple[str, str] | None = None
        self._host: Host | None = None

    def predict(self, record: ModelRecord, text: str, second: str, cancel: CancelToken) -> dict[str, Any]:
        """What ``heads.Head.predict`` says. Raises ``ModelError``."""
        folder, _ = resolve(self._workspace, record)
        # A model that was trained again under its name is another.
        key = (str(folder), record.created)
        if self._host is None or key != self._key:
            self.close()
            settings = self._workspace.settings
            config = {"folder": str(folder), "kind": record.kind, "threads": settings.threads}
            inside = not self._hosted or settings.runner == "thread"
            self._host, self._key = Host("engine.inference.heads:Head", config, self._workspace.paths.logs / "heads.log", inside=inside), key
        found: dict[str, Any] = self._host.call("predict", cancel, text=text, second=second)
        return found

    def close(self) -> None:
        if self._host is not None:
            self._host.close()
            self._host = None
