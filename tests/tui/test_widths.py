"""The widths of the table's columns from one window of rows to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fakes.tables import put
from tests.tui.test_flows import until
from tests.tui.test_table import desk

if TYPE_CHECKING:
    from engine.engine import Engine


async def test_a_jump_to_larger_numbers_widens_their_column(engine: Engine) -> None:
    put(engine, "long", {"train": {"id": [n * n * 1000 for n in range(2000)], "text": ["word"] * 2000}})
    async with desk(engine, "long") as at:
        narrow = at.table.columns[list(at.table.columns)[1]].width
        await at.line("g", "1990")
        await until(lambda: at.table.number == 1990)
        wide = at.table.columns[list(at.table.columns)[1]].width
        assert str(at.table.get_row_at(at.table.cursor_row)[1]) == str(1990 * 1990 * 1000) and wide > narrow
        await at.line("g", "0")
        await until(lambda: at.table.number == 0)
        assert at.table.columns[list(at.table.columns)[1]].width == wide, "it does not jump to and fro"
