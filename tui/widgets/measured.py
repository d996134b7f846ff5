"""How many tokens the row that is looked at has for the model in use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.errors import BitternError
from tui.widgets.detail_part import DetailPart

if TYPE_CHECKING:
    from engine.commands.lengths import Lengths


class Measured(DetailPart):
    """The part of a dataset's detail that counts. ``length`` is what stands beside the row's place, or nothing."""

    length = ""

    def count_row(self, row: dict[str, Any]) -> None:
        """Count a row on a thread; it is drawn when it is known, if the row is still looked at."""
        self.length = ""
        self.run_worker(self._count_row(row), group="length", exclusive=True, exit_on_error=False)

    async def _count_row(self, row: dict[str, Any]) -> None:
        engine, dataset = self._bridge.engine, self.dataset
        if engine is None or dataset is None:
            return
        try:
            found: Lengths | None = await self._bridge.call(lambda: engine.row_length(dataset.name, row))
        except BitternError:
            return  # The row itself is there, whatever was wrong with its length.
        if found is not None and self.in_row:
            self.length = f"{found.tokens[0]:,} token{'' if found.tokens[0] == 1 else 's'} of {found.model}"
            self._draw_facts()
