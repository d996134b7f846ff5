"""A streamed answer, cited while it comes: what was shown never has to be taken back."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from engine.answer.support import WRITTEN, Cited, cite
from engine.answer.words import cut

if TYPE_CHECKING:
    from collections.abc import Sequence

_TAIL = re.compile(r"[\s\[\]\d.!?…。！？।؟۔\"”’)]*$")
"""What is held back: the end of a sentence, where its marks belong, and whatever may become a mark."""
_AFTER = re.compile(r"([.!?…。！？।؟۔][\"”’)]*)((?:\s*\[\d+\])+)")
"""Marks that the model put behind a full stop: they belong to the sentence that ended."""
_HALF = re.compile(r"\s*\[\d*$")


class Citing:
    """Takes pieces of an answer and gives back the text to show, each sentence with its marks as soon as it ends.

    What :meth:`feed` and :meth:`end` returned, put together, is the whole answer.
    """

    def __init__(self, passages: Sequence[str]) -> None:
        self._passages = list(passages)
        self._open = ""
        self._shown = 0
        self.sentences: list[Cited] = []
        self.text = ""

    @property
    def repeats(self) -> bool:
        """Whether the last whole sentence was said before."""
        said = [sentence.text for sentence in self.sentences]
        return len(said) > 1 and said[-1] in said[:-1]

    def feed(self, piece: str) -> str:
        """The text that can be shown now."""
        self._open = _AFTER.sub(r"\2\1", self._open + piece)
        half = _HALF.search(self._open)
        ready, waiting = (self._open[: half.start()], half.group()) if half else (self._open, "")
        places = cut(ready)
        out = ""
        # The last sentence may go on; those before it are whole.
        for (start, end), (following, _) in pairwise(places):
            out += self._close(ready[start:end]) + ready[end:following]
        if len(places) > 1:
            ready = ready[places[-1][0] :]
        self._open = ready + waiting
        plain = WRITTEN.sub("", _TAIL.sub("", ready)).lstrip()
        out += plain[self._shown :]
        self._shown = max(self._shown, len(plain))
        self.text += out
        return out

    def end(self) -> str:
        """The rest, when nothing more comes."""
        out = self._close(self._open.strip()) if self._open.strip() else ""
        self._open = ""
        self.text += out
        return out

    def _close(self, sentence: str) -> str:
        found = cite(sentence, self._passages)
        shown, self._shown = self._shown, 0
        if not re.search(r"\w", found.text):
            # A rule, a bullet, a number alone: nothing is said.
            return found.text[shown:]
        self.sentences.append(found)
        return found.marked[shown:]
