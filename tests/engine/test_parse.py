"""The grammar: one line, one Command; errors that point at the word."""

from __future__ import annotations

from typing import ClassVar, Literal

import pytest

from engine.commands import registry
from engine.commands.base import Command, Desk, Field, Now
from engine.commands.complete import complete
from engine.commands.describe import fields, help_text
from engine.commands.parse import from_argv, from_line, split, to_line
from engine.errors import WordsError
from engine.results import Result


class Quiet(Now):
    """Answers nothing."""

    def run(self, desk: Desk) -> Result:
        return Result("")


class Bake(Quiet):
    """Bake bread.

    With flour."""

    verb = "bake"
    words = ("flour", "water")
    completes = {"flour": "datasets", "oven": "models"}
    examples = ("bake rye",)
    flour: str = Field(description="Which flour")
    water: int = Field(300, ge=1, description="Grams of water")
    oven: str = Field("", description="Which oven")
    hot: bool = Field(True, description="A hot oven")
    crust: Literal["soft", "hard"] = Field("hard", description="The crust")
    seeds: list[str] = Field([], description="Seeds")
    rest_hours: float | None = Field(None, gt=0, description="Hours of rest")


class Say(Quiet):
    """Say something."""

    verb = "say"
    words = ("text",)
    rest: ClassVar[bool] = True
    text: str = Field(description="What to say")
    loud: bool = Field(False, description="Loudly")
    to: str = Field("", description="To whom")


@pytest.fixture(autouse=True)
def verbs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.VERBS, "bake", f"{__name__}:Bake")
    monkeypatch.setitem(registry.VERBS, "say", f"{__name__}:Say")
    registry.command.cache_clear()


def test_words_flags_and_types() -> None:
    got = from_line("/bake rye 250 --oven big --no-hot --crust=soft --seeds poppy,flax --seeds hemp --rest-hours 1.5")
    assert got == Bake(flour="rye", water=250, oven="big", hot=False, crust="soft", seeds=["poppy", "flax", "hemp"], rest_hours=1.5)


def test_argv_and_line_are_one_grammar() -> None:
    assert from_argv(["bake", "white rye", "--oven", "a b"]) == from_line('bake "white rye" --oven "a b"')


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("say what's new?", "what's new?"),
        ('say "quoted words" and more', '"quoted words" and more'),
        ('say "quoted words"', "quoted words"),
        ("say it isn't \"odd", "it isn't \"odd"),
        ("say -- --loud is a flag", "--loud is a flag"),
    ],
)
def test_free_text_keeps_its_quotes(line: str, text: str) -> None:
    assert from_line(line).text == text  # type: ignore[attr-defined]


def test_flags_are_found_anywhere_in_free_text() -> None:
    assert from_line("say hello there --to you my friend") == Say(text="hello there my friend", to="you")


@pytest.mark.parametrize(
    ("line", "message", "word"),
    [
        ("bakke rye", "no command called “bakke”", "bakke"),
        ("bake rye --ovn big", "has no --ovn", "--ovn"),
        ("bake rye --water many", "has no --water", "--water"),
        ("bake rye many", "water: this should be a valid integer|valid integer", "many"),
        ("bake rye 0", "greater than or equal to 1", "0"),
        ("bake rye --crust burnt", "'soft' or 'hard'", "burnt"),
        ("bake rye 3 extra", "does not take “extra”", "extra"),
        ("bake rye --oven", "--oven needs a value", "--oven"),
        ('bake "rye', "never closed", '"rye'),
    ],
)
def test_errors_point_at_the_word(line: str, message: str, word: str) -> None:
    with pytest.raises(WordsError, match=message) as caught:
        from_line(line)
    assert line[caught.value.start : caught.value.end] == word
    assert caught.value.exit_code == 2


def test_near_words_are_suggested() -> None:
    with pytest.raises(WordsError) as caught:
        from_line("bake rye --crst hard")
    assert "--crust" in caught.value.hint
    with pytest.raises(WordsError) as caught:
        from_line("evaluat smollm2")
    assert "evaluate" in caught.value.hint


def test_a_missing_word_names_itself() -> None:
    with pytest.raises(WordsError, match="needs a flour"):
        from_line("bake")


@pytest.mark.parametrize(
    "line", ["bake rye", 'bake "white rye" 250 --no-hot --seeds a --seeds b', "say --loud --to you hello there", "say what's new?"]
)
def test_a_command_writes_the_line_that_reads_as_itself(line: str) -> None:
    request = from_line(line)
    assert from_line(to_line(request)) == request


def test_completion_of_verbs_flags_choices_and_names() -> None:
    def names(kind: str) -> list[str]:
        return {"datasets": ["rye-1", "rye-2", "oat"], "models": ["big"]}.get(kind, [])

    assert [word for word, _ in complete("/bak", names)] == ["bake"]
    assert [word for word, _ in complete("/bake ry", names)] == ["rye-1", "rye-2"]
    assert [word for word, _ in complete("/bake rye-1 --oven ", names)] == ["big"]
    assert [word for word, _ in complete("/bake rye-1 --crust s", names)] == ["soft"]
    assert "--oven" in [word for word, _ in complete("/bake rye-1 --", names)]
    assert complete("/nothing ", names) == []


def test_words_know_where_they_stand() -> None:
    line = 'a "b c"  d'
    assert [(word.text, line[word.start : word.end]) for word in split(line)] == [("a", "a"), ("b c", '"b c"'), ("d", "d")]


@pytest.mark.parametrize("verb", sorted(registry.VERBS))
def test_every_command_is_described(verb: str) -> None:
    cls: type[Command] = registry.command(verb)
    assert cls.verb == verb
    assert (cls.__doc__ or "").strip()
    assert all(view.help for view in fields(cls)), "each field has a description"
    assert help_text(cls).startswith(verb)
    for example in cls.examples:
        assert from_line(example).verb == verb


@pytest.mark.parametrize("verb", sorted(registry.VERBS))
def test_every_command_survives_its_own_json(verb: str) -> None:
    cls = registry.command(verb)
    for example in cls.examples:
        request = from_line(example)
        assert cls.model_validate(request.model_dump(mode="json")) == request


def test_a_flag_that_is_missing_is_asked_for_by_its_name() -> None:
    with pytest.raises(WordsError, match="`new` needs --tokenizer") as caught:
        from_line("new heron --base smollm2")
    assert caught.value.hint.startswith("Whose vocabulary") and caught.value.start == len("new heron --base smollm2")
