"""The palette: every verb, found by its name or its help."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

if TYPE_CHECKING:
    from tui.app import BitternApp


class Verbs(Provider):
    """A verb that needs words is put into the chat box; any other runs."""

    async def startup(self) -> None:
        self._app = cast("BitternApp", self.app)
        self._verbs = await self._app.verbs()

    async def discover(self) -> Hits:
        for verb, told in self._verbs:
            yield DiscoveryHit(f"/{verb}", partial(self._app.choose_verb, verb), help=told)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for verb, told in self._verbs:
            score = max(matcher.match(verb), 0.8 * matcher.match(told))
            if score > 0:
                yield Hit(score, matcher.highlight(f"/{verb}"), partial(self._app.choose_verb, verb), help=told)
