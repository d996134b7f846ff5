"""The reducers: what events make of the state, with no screen."""

from __future__ import annotations

import pytest

from engine import events
from tui.state.catalog import CatalogState, count, size
from tui.state.chat import ChatState, support
from tui.state.jobs import Curve, JobsState, bar, chart, shown, span
from tui.state.plot import plain
from tui.state.view import ViewState


def running_job() -> JobsState:
    jobs = JobsState()
    jobs.apply(events.JobQueued(job="3", title="train smollm2 on tickets", verb="train"))
    jobs.apply(events.JobStarted(job="3", seq=1))
    return jobs


def test_a_job_runs_through_its_states() -> None:
    jobs = running_job()
    assert jobs.jobs["3"].state == "running"
    jobs.apply(events.JobProgress(job="3", seq=2, done=5, total=20, unit="steps", rate=2.0, eta=7.5))
    job = jobs.jobs["3"]
    assert job.percent == 25
    assert ("left", "8 s") in job.figures()
    jobs.apply(events.JobCheckpoint(job="3", seq=3, step=5, path="x"))
    jobs.apply(events.JobPaused(job="3", seq=4))
    assert (job.state, job.eta, job.checkpoint) == ("paused", None, 5)
    jobs.apply(events.JobStarted(job="3", seq=5, resumed=True))
    jobs.apply(events.JobFinished(job="3", seq=6, summary="done well"))
    assert (job.state, job.summary, job.percent) == ("done", "done well", 100)


def test_what_runs_stands_above_what_waits_and_what_is_over() -> None:
    jobs = JobsState()
    for number in ("1", "2", "3", "4"):
        jobs.apply(events.JobQueued(job=number, title=number, verb="train"))
    jobs.apply(events.JobStarted(job="1", seq=1))
    jobs.apply(events.JobFinished(job="1", seq=2, summary="done"))
    jobs.apply(events.JobStarted(job="2", seq=1))
    assert [job.id for job in jobs.ordered()] == ["2", "3", "4", "1"]


def test_an_event_that_comes_twice_counts_once() -> None:
    jobs = running_job()
    metric = events.JobMetric(job="3", seq=2, step=1, name="loss", value=2.0)
    assert jobs.apply(metric) == "3"
    assert jobs.apply(metric) == ""
    assert jobs.jobs["3"].curves["loss"].points == [(1, 2.0)]


def test_steps_done_again_after_a_resume_replace_their_points() -> None:
    curve = Curve()
    for step, value in [(1, 3.0), (2, 2.0), (3, 1.0), (2, 1.9), (3, 0.9)]:
        curve.put(step, value)
    assert curve.points == [(1, 3.0), (2, 1.9), (3, 0.9)]


def test_a_long_curve_is_thinned_and_keeps_its_end() -> None:
    curve = Curve([(step, float(step)) for step in range(10_000)])
    thin = curve.thinned(300)
    assert len(thin) <= 301
    assert thin[-1] == (9999, 9999.0)


@pytest.mark.parametrize("steps", [601, 602, 899, 1_201, 10_000])
def test_a_thinned_curve_keeps_its_peaks_in_the_order_of_steps(steps: int) -> None:
    curve = Curve([(step, 2.0) for step in range(steps)])
    for step, value in [(steps // 3, 9.0), (steps // 3 + 1, 0.1), (steps - 2, 8.0)]:
        curve.put(step, value)
    thin = curve.thinned(600)
    assert len(thin) <= 600 and thin == sorted(set(thin)), "no step twice"
    assert {curve.points[0], (steps // 3, 9.0), (steps // 3 + 1, 0.1), (steps - 2, 8.0), curve.points[-1]} <= set(thin)


def test_losses_are_drawn_together_with_a_letter_each() -> None:
    names = ("grad_norm", "eval_loss", "loss", "c_loss_long", "d_loss_longer", "e_loss_longest")
    curves = {name: Curve([(1, 2.0 + number), (40, 1.0 + number)]) for number, name in enumerate(names)}
    assert shown(curves) == {"loss": "A", "eval_loss": "B", "c_loss_long": "C", "d_loss_longer": "D"}, "as many as there are inks"
    assert all(letter in plain(chart(curves, 60, 12)) for letter in "ABCD")
    assert shown({"grad_norm": curves["grad_norm"]}) == {"grad_norm": "A"} and shown({"grad_norm": Curve([(1, 2.0)])}) == {}
    assert plain(chart({}, 60, 12)) == ""


def test_a_loss_that_ran_away_leaves_its_curve_as_it_was() -> None:
    jobs = running_job()
    for seq, value in enumerate((2.0, float("nan"), float("inf"), 1.0), start=2):
        jobs.apply(events.JobMetric(job="3", seq=seq, step=seq, name="loss", value=value))
    curves = jobs.jobs["3"].curves
    assert curves["loss"].points == [(2, 2.0), (5, 1.0)] and "1┤" in plain(chart(curves, 60, 12))
    assert jobs.jobs["3"].bars("loss")


def test_a_journal_rebuilds_what_live_events_said() -> None:
    jobs = running_job()
    history: list[events.Event] = [
        events.JobStarted(job="3", seq=1),
        events.JobMetric(job="3", seq=2, step=1, name="loss", value=2.0),
        events.JobLog(job="3", seq=3, text="reading rows"),
    ]
    jobs.load_history("3", history)
    assert jobs.jobs["3"].loaded
    assert list(jobs.jobs["3"].log) == ["started", "reading rows"]
    assert jobs.jobs["3"].title == "train smollm2 on tickets"


def test_an_end_that_was_read_before_it_was_heard_is_heard_all_the_same() -> None:
    jobs = running_job()
    live = jobs.jobs["3"].seq
    ended = events.JobFinished(job="3", seq=live + 2, summary="all of it")
    jobs.load_history("3", [events.JobStarted(job="3", seq=live + 1), ended])
    assert jobs.jobs["3"].state == "running" and list(jobs.jobs["3"].log) == ["started"]
    assert jobs.apply(ended) == "3" and jobs.jobs["3"].state == "done"
    jobs.load_history("3", [events.JobStarted(job="3", seq=live + 1), ended])
    assert list(jobs.jobs["3"].log) == ["started", "done: all of it"] and not jobs.apply(ended)


def test_a_failed_job_keeps_its_way_out() -> None:
    jobs = running_job()
    jobs.apply(events.JobFailed(job="3", seq=2, title="Out of memory", message="16 GB is too little.", hint="Lower --batch-size."))
    assert jobs.jobs["3"].error["hint"] == "Lower --batch-size."


def test_calls_are_not_jobs() -> None:
    jobs = JobsState()
    assert jobs.apply(events.JobProgress(job="call-1", done=1, total=2, unit="rows")) == ""
    assert not jobs.jobs


def test_an_answer_streams_and_is_replaced_by_what_was_kept() -> None:
    chat = ChatState()
    message = chat.begin("call-1", "ask")
    assert message is not None
    chat.apply(events.PassagesFound(job="call-1", passages=[{"n": 1, "address": "guide/train/0", "text": "Press p.", "score": 0.5}]))
    assert message.waiting == "reading 1 row…"
    chat.apply(events.PromptRead(job="call-1", done=512, total=1024))
    assert message.waiting == "reading 1 row, 50%…"
    chat.apply(events.PromptRead(job="call-1", done=1024, total=1024))
    assert message.waiting == "reading 1 row…"
    chat.apply(events.TokenDelta(job="call-1", text="Press "))
    chat.apply(events.TokenDelta(job="call-1", text="q"))
    assert (message.text, message.busy, len(message.passages)) == ("Press q", True, 1)
    data = {"answer": "Press p [1].", "found": True, "passages": message.passages, "model": "smollm2", "usage": {"rate": 41.2, "first_token": 0.8}}
    chat.apply(events.CallFinished(job="call-1", verb="ask", result={"summary": "Press p [1].", "data": data}))
    assert (message.text, message.busy) == ("Press p [1].", False)
    assert message.footer() == "smollm2 · 41 tok/s · first word after 0.8 s"


def test_a_command_that_fails_is_an_error_with_its_place() -> None:
    chat = ChatState()
    chat.begin("call-1", "train")
    message = chat.apply(events.CallFinished(job="call-1", verb="train", error={"title": "No", "message": "There is no model x.", "hint": "Use y."}))
    assert message is not None
    assert (message.kind, message.error["hint"]) == ("error", "Use y.")


def test_what_was_said_of_a_job_stays_when_its_answer_comes() -> None:
    chat = ChatState()
    begun = {"summary": "Job 3 is queued: train.", "data": {"job": "3"}, "opens": "job:3", "table": None}
    looked = {
        "summary": "Job 3: train: running.",
        "data": {"job": "3"},
        "opens": "job:3",
        "table": {"columns": ["time", "what"], "rows": [["", "started"]]},
    }
    chat.apply(events.CallFinished(job="call-1", verb="train", result=begun))
    chat.apply(events.CallFinished(job="call-2", verb="logs", result=looked))
    answer = {"summary": "done: loss 1.2", "data": {}, "opens": "model:m", "table": None}
    first = chat.answered("3", answer)
    assert first is not None and (first.verb, first.text) == ("train", "done: loss 1.2")
    assert [message.text for message in chat.messages] == ["done: loss 1.2", "Job 3: train: running."]
    assert chat.answered("3", answer) is None, "logs of a job that is over are its logs"


def test_the_end_of_a_quiet_command_is_told_once() -> None:
    chat = ChatState()
    chat.begin_quietly("call-9")
    assert chat.quiet("call-9")
    assert not chat.quiet("call-9")


def test_a_narrow_screen_shows_one_part() -> None:
    view = ViewState()
    assert view.visible(80) == {"chat"}
    view.panel, view.detail = "jobs", "job"
    assert view.visible(80) == {"detail"}
    assert view.visible(160) == {"datasets", "models", "jobs", "chat", "detail"}
    view.toggle_zoom("detail")
    assert view.visible(160) == {"detail"}


def test_the_sentence_an_answer_rests_on_is_found() -> None:
    passage = "Herons eat fish. Bitterns hide among the reeds and boom at night."
    start, end = support(passage, "They hide among reeds.")
    assert passage[start:end] == "Bitterns hide among the reeds and boom at night."
    assert support(passage, "zzz") == (0, 0)


def test_figures_in_words() -> None:
    assert (span(42), span(200), span(3900)) == ("42 s", "3:20", "1 h 05")
    assert (size(98_400_000), count(10_662), count(120)) == ("98 MB", "10.7k", "120")
    assert bar(50, 10) == ("━━━━━", "─────")


def test_the_last_error_offers_its_ways_out_until_something_else_is_said() -> None:
    chat, repairs = ChatState(), [{"label": "skip", "line": "add x.csv --bad skip"}]
    chat.add("user", "/add x.csv")
    assert chat.offered == []
    chat.add("error", "No.", error={"message": "No.", "repairs": repairs})
    chat.add("note", "Job 1 is queued.")
    assert chat.offered == repairs
    chat.add("user", "hello")
    assert chat.offered == []


def test_a_connected_server_is_a_model_to_talk_to() -> None:
    from engine.store.models import ModelRecord

    catalog = CatalogState()
    catalog.load([], [ModelRecord("far", "endpoint", "http://127.0.0.1:1/v1", 0)], "", "far", "main")
    assert [model.talks for model in catalog.models] == [True]
