"""Which parts of the screen are seen: everything on a wide terminal, one part at a time on a narrow one."""

from __future__ import annotations

from dataclasses import dataclass

LISTS = ("datasets", "models", "jobs")
KINDS = {"datasets": "dataset", "models": "model", "jobs": "job"}
WIDE = 120


@dataclass(slots=True)
class ViewState:
    """``panel`` is where the person is (datasets, models, jobs, chat); ``detail`` is what is open beside the lists
    (dataset, model, job, or nothing); ``zoom`` lets the part they are in fill the screen."""

    panel: str = "chat"
    detail: str = ""
    zoom: str = ""

    def visible(self, width: int) -> set[str]:
        """The parts to draw: names of lists, ``detail``, ``chat``."""
        if width < WIDE:
            if self.panel == "chat":
                return {"chat"}
            return {"detail"} if self.detail and self.detail == KINDS[self.panel] else {self.panel}
        if self.zoom == "detail" and self.detail:
            return {"detail"}
        if self.zoom in (*LISTS, "chat"):
            return {self.zoom}
        return {*LISTS, "chat", *(["detail"] if self.detail else [])}

    def toggle_zoom(self, part: str) -> None:
        self.zoom = "" if self.zoom else part
