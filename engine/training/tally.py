"""What became of the rows on their way to tokens: kept, cut, left out, and whether the end of an answer is learnt."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.training.mask import Encoded


@dataclass(slots=True)
class Tally:
    """Counts of rows, and of tokens of those that were kept.

    ``cut``: kept without the beginning of their prompt (a classifier's: without the end of their text); ``lost``: of
    these, those with more than half of the prompt gone; ``long``: left out, since the answer alone fills the length;
    ``empty``: left out, since there is no answer, text or known label; ``stopped``: the stop token carries loss;
    ``learnt``: tokens that carry loss; ``blocks``: what plain texts were cut into, none of them shortened.
    """

    rows: int = 0
    kept: int = 0
    cut: int = 0
    lost: int = 0
    long: int = 0
    empty: int = 0
    stopped: int = 0
    tokens: int = 0
    learnt: int = 0
    longest: int = 0
    blocks: int = 0

    def take(self, row: Encoded, stop: int | None) -> None:
        """Count a row that is kept; ``stop`` is the number of the stop token."""
        prompt = row.prompt
        self.kept += 1
        self.cut += row.cut > 0
        self.lost += row.cut > prompt
        self.stopped += stop is not None and row.labels[-1] == stop
        self.tokens += len(row.input_ids)
        self.learnt += len(row.input_ids) - prompt
        self.longest = max(self.longest, len(row.input_ids))

    def says(self, max_length: int) -> str:
        """What was cut and left out, in words; empty where nothing was."""
        parts = [f"{self.cut:,} of {self.rows:,} were cut to fit {max_length} tokens"] if self.cut else []
        parts += [f"{self.long:,} were left out: their answer alone does not fit {max_length} tokens"] if self.long else []
        parts += [f"{self.empty:,} were left out: no answer, no text, or a label that the training rows do not have"] if self.empty else []
        return "; ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
