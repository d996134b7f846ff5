"""Follow-ups: what leans on the last question is made whole, and nothing else is touched."""

from __future__ import annotations

import pytest

from engine.answer.rewrite import rewrite, topic_of

FOLLOW_UPS = [
    ("How do I pause a running job?", "and how do I cancel it?", "How do I cancel the job?"),
    ("What do herons eat?", "and where do they nest?", "Where do herons nest?"),
    ("What do herons eat?", "What about storks?", "What do storks eat?"),
    ("What do herons eat?", "and storks?", "What do storks eat?"),
    ("What do herons eat?", "why?", "Why: What do herons eat?"),
    ("Who designed the Eiffel Tower?", "When was it built?", "When was the Eiffel Tower built?"),
    ("How many points did the Panthers defense surrender?", "Who led them in sacks?", "Who led the Panthers defense in sacks?"),
    ("What was Tesla's first job?", "Where did he work?", "Where did Tesla work?"),
    ("Who is Peyton Manning?", "What is his age?", "What is Peyton Manning's age?"),
    ("How do I add a CSV file?", "And a Parquet file?", "How do I add a Parquet file?"),
    ("How do I train a model on my data?", "How long does that take?", "How long does the model take?"),
    ("Who founded the European Union?", "When did Spain join it?", "When did Spain join the European Union?"),
    ("herons?", "where do they nest?", "Where do herons nest?"),
]
WHOLE = [
    ("What do herons eat?", "How do I pause a job?"),
    ("What do herons eat?", "How old was Marconi?"),
    ("What do herons eat?", "When a job fails, how do I resume it?"),
    ("What do herons eat?", "How do I pause that job?"),
    ("What do herons eat?", "How do I add a CSV file and index it?"),
    ("What do herons eat?", "What does a job do with its checkpoints?"),
    ("What do herons eat?", "Is it true that storks eat fish?"),
    ("What do herons eat?", "How long does it take to build an index?"),
    ("What do herons eat?", "storks?"),
    ("What do herons eat?", "它們住在哪裡?"),
    ("What do herons eat?", "?"),
    ("hello", "how do I cancel it?"),
    ("", "how do I cancel it?"),
    ("?!", "why?"),
]


@pytest.mark.parametrize(("before", "question", "asked"), FOLLOW_UPS)
def test_a_follow_up_is_made_whole(before: str, question: str, asked: str) -> None:
    assert rewrite(question, before) == asked


@pytest.mark.parametrize(("before", "question"), WHOLE)
def test_a_question_that_leans_on_nothing_stays(before: str, question: str) -> None:
    assert rewrite(question, before) == question


def test_only_the_persons_own_words_are_carried_over() -> None:
    assert topic_of("What is hybrid search?") == "hybrid search"
    assert topic_of("How do I fine-tune a model on my own CSV?") == "model"
    assert topic_of("Why?") == ""


def test_the_quotes_of_the_shell_are_no_part_of_a_question() -> None:
    from engine.commands.parse import from_argv

    asked = from_argv(["ask", "What is hybrid search?", "--on", "guide"])
    assert (getattr(asked, "question", ""), getattr(asked, "on", "")) == ("What is hybrid search?", "guide")
