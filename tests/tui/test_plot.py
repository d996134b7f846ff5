"""Charts of dots: the picture does not change with the points that it leaves out, and what is told beside it is right."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from engine.jobs.series import series
from engine.results import Chart
from tui.printed import chart
from tui.state.curves import CurvesView
from tui.state.plot import BRAILLE, Dots, Line, Plot, _decimated, plain, plot, spark

if TYPE_CHECKING:
    from pathlib import Path

WAVE = [(step, 5.0 / (1 + step) ** 0.5 + (step % 7) / 10) for step in range(3_000)]


def test_what_is_left_out_of_a_line_does_not_change_its_picture() -> None:
    dots = [(x * 160 // 3_000, (x * x * 7919) % 80) for x in range(3_000)]
    found = _decimated(dots)
    assert len(found) <= 4 * 160
    pictures = []
    for points in (dots, found):
        canvas = Dots(80, 20)
        canvas.line(points, 0)
        pictures.append([canvas.row(number) for number in range(20)])
    assert pictures[0] == pictures[1]


@pytest.mark.parametrize(("width", "height"), [(80, 18), (160, 40), (24, 6)])
def test_a_chart_fills_its_cells_and_names_its_ends(width: int, height: int) -> None:
    drawn = plot([Line(WAVE, "A"), Line(WAVE[:1_000], "B", WAVE[800])], width, height)
    lines = ["".join(text for text, _ in row) for row in drawn.rows]
    assert len(lines) == height and {len(line) for line in lines} == {width}
    assert {"A", "B", "◆"} <= set("".join(lines)) and any(ord(sign) > BRAILLE for sign in "".join(lines))
    assert lines[0].startswith(" " * 9 + "┌") and lines[1].startswith("5┤".rjust(10)) and lines[-2].startswith(" " * 9 + "└")
    assert lines[-1].split()[0] == "0" and (lines[-1].split()[-1] == "2999" or width < 30)
    assert drawn.cell(0) == 10 and drawn.cell(2_999) == width - 2 and drawn.cell(3_000) is None
    assert drawn.part(10) == 0 and drawn.part(width - 2) == 1 and drawn.part(9) is None


def test_where_there_is_no_room_or_no_point_nothing_is_drawn() -> None:
    assert plot([Line(WAVE)], 12, 20) == plot([Line(WAVE)], 80, 4) == plot([Line([])], 80, 20) == plot([], 80, 20) == Plot()
    one = plain(plot([Line([(5, 2.0)])], 40, 8))
    assert "5" in one.splitlines()[-1] and sum(ord(sign) > BRAILLE for sign in one) == 1


def test_a_short_chart_names_each_whole_step_once_and_in_its_place() -> None:
    drawn = plot([Line([(1, 5.0), (2, 4.0), (3, 4.5), (4, 3.0)])], 80, 12)
    below, foot = ("".join(text for text, _ in row) for row in (drawn.rows[-2], drawn.rows[-1]))
    marks = [at for at, sign in enumerate(below) if sign == "┬"]
    assert foot.split() == ["1", "2", "3", "4"] and all(abs(at - (drawn.cell(step) or 0)) <= 1 for step, at in enumerate(marks, 1)), marks
    assert plain(plot([Line([(0, 1.0), (99.6, 2.0)])], 60, 12, seconds=True)).splitlines()[-1].split()[-1] == "1:40", "the end has its mark"


def test_a_logarithm_and_a_time_are_told_as_they_are() -> None:
    text = plain(plot([Line([(0, 0.001), (3_600, 10.0)])], 60, 12, log=True, seconds=True))
    assert "0.001┤" in text and "10┤" in text and "1:00:00" in text and "30:00" in text


def test_a_chart_on_the_command_line_has_letters_and_no_colours() -> None:
    text = chart(Chart({"job 3  one": WAVE, "job 5  \x1b[31mtwo": WAVE[:9]}), 80, 24)
    lines = text.splitlines()
    assert len(lines) <= 22 and max(map(len, lines)) <= 80 and "\x1b" not in text
    assert lines[-2:] == ["A job 3 one", "B job 5 two"]


def test_bars_follow_the_values() -> None:
    assert spark([1, 2, 3, 4, 5, 6, 7, 8], 8) == "▁▂▃▄▅▆▇█"
    assert spark([3.0, 3.0], 8) == "▁▁" and spark([1.0], 8) == "" and len(spark(list(range(999)), 10)) == 10


def test_looking_closer_goes_around_the_cursor_and_stays_within() -> None:
    view = CurvesView.of("1;loss")
    view.take({"metric": "loss", "metrics": ["loss"], "jobs": [{"job": "1", "title": "", "state": "done", "series": WAVE[:101]}]})
    view.at = 10
    view.zoom(0.5)
    assert (view.start, view.end) == (0, 50)
    view.zoom(0.5)
    assert (view.start, view.end) == (0, 25)
    view.take({**view.data, "jobs": [{**view.data["jobs"][0], "series": WAVE[:26]}]})
    assert not view.move(15) and view.at == 25
    assert view.move(1) and (view.start, view.end) == (12.5, 37.5), "at the edge, what is looked at moves along"
    view.zoom(4)
    assert (view.start, view.end) == (None, None)
    view.turn()
    assert view.by == "time" and view.at is None


def _ran(home: Path) -> Path:
    """A journal of a job that ran for a minute, stood still for an hour, and did its last step again."""
    lines = [
        ("JobQueued", "10:00:00", {"title": "t", "verb": "train"}), ("JobStarted", "10:05:00", {}),
        *(("JobMetric", f"10:05:{10 * step:02}", {"step": step, "name": "loss", "value": 9.0 - step}) for step in range(1, 5)),
        ("JobPaused", "10:05:41", {}), ("JobQueued", "11:05:41", {"title": "t", "verb": "train"}), ("JobStarted", "11:05:42", {"resumed": True}),
        ("JobMetric", "11:05:45", {"step": 4, "name": "loss", "value": 4.5}), ("JobMetric", "11:05:55", {"step": 5, "name": "loss", "value": 4.0}),
    ]  # fmt: skip
    file = home / "events.jsonl"
    told = [{"type": kind, "job": "1", "seq": seq, "at": f"2026-01-01T{at}+00:00", **more} for seq, (kind, at, more) in enumerate(lines, 1)]
    file.write_text("".join(json.dumps(line) + "\n" for line in told), encoding="utf-8")
    return file


def test_time_is_what_the_job_ran_and_a_journal_is_read_on(tmp_path: Path) -> None:
    file = _ran(tmp_path)
    assert series(file)["loss"] == [(1, 8.0), (2, 7.0), (3, 6.0), (4, 4.5), (5, 4.0)]
    assert series(file, "time")["loss"] == [(10, 8.0), (20, 7.0), (30, 6.0), (44, 4.5), (54, 4.0)]
    text = file.read_text("utf-8")
    file.write_text(text + text.splitlines()[-1].replace('"step": 5', '"step": 6') + "\n", encoding="utf-8")
    assert [step for step, _ in series(file)["loss"]] == [1, 2, 3, 4, 5, 6]
    file.write_text("".join(line + "\n" for line in text.splitlines()[:3]), encoding="utf-8")
    assert series(file)["loss"] == [(1, 8.0)], "a journal that is shorter than before is another one"
