"""A report as one file that needs nothing else: HTML without a script, or Markdown. Whatever comes from rows stays text."""

from __future__ import annotations

import base64
import re
from html import escape
from typing import TYPE_CHECKING

from engine.evaluation.chart import svg
from engine.evaluation.report import Value

if TYPE_CHECKING:
    from engine.evaluation.report import Cell, Report, Section

# Control characters, direction overrides and lone surrogates: a reader sees that something stood there.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# Signs that mean something anywhere; points and colons that make a link of a word; what makes a list or a rule of a line.
_SIGNS = re.compile(r"[\\`*_\[\]<>#|~$&@!]|(?<=[A-Za-z])[.:](?=[A-Za-z/])")
_LIST = re.compile(r"^(\d*)([-+=.)])")
STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; } th, td { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #8884; }
td { white-space: pre-wrap; overflow-wrap: anywhere; max-width: 30rem; } th { font-weight: 600; }
td data, td:first-child { white-space: nowrap; overflow-wrap: normal; } td data { font-variant-numeric: tabular-nums; }
figure { display: inline-block; width: min(100%, 31rem); margin: 0 1rem 1rem 0; }
svg { max-width: 100%; height: auto; display: block; } footer { margin-top: 3rem; color: #777; }
"""


def html(report: Report) -> str:
    """One page; a browser that opens it fetches nothing and runs nothing."""
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    head = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n<meta name="viewport" content="width=device-width">\n'
        f"<title>{_html(report.title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
    )
    parts = [head, f"<h1>{_html(report.title)}</h1>\n", *(f"<p>{_html(text)}</p>\n" for text in report.lead)]
    for section in report.sections:
        parts.append(f"<section>\n<h2>{_html(section.title)}</h2>\n")
        parts += [f"<p>{_html(text)}</p>\n" for text in section.says]
        parts += [f"<figure>\n<figcaption>{_html(chart.title)}</figcaption>\n{svg(chart)}\n</figure>\n" for chart in section.charts]
        parts += [_html_table(section)] if section.rows else []
        parts.append("</section>\n")
    return "".join([*parts, "<footer>Written by Bittern.</footer>\n</body>\n</html>\n"])


def markdown(report: Report) -> str:
    """GitHub's Markdown; curves are pictures inside the file."""
    parts = [f"# {_mark(report.title)}", *map(_mark, report.lead)]
    for section in report.sections:
        parts += [f"## {_mark(section.title)}", *map(_mark, section.says)]
        for chart in section.charts:
            picture = base64.b64encode(svg(chart).encode()).decode()
            last = ", ".join(f"{name} {curve[-1][1]:.4g} at step {curve[-1][0]}" for name, curve in chart.curves.items())
            parts += [f"![{_mark(chart.title)}](data:image/svg+xml;base64,{picture})", _mark(f"{chart.title}: {last}.")]
        if section.rows:
            lines = [
                [*map(_inside, section.columns)],
                ["---"] * len(section.columns),
                *([_inside(_text(cell)) for cell in row] for row in section.rows),
            ]
            parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    return "\n\n".join([*parts, "Written by Bittern."]) + "\n"


def _html_table(section: Section) -> str:
    head = "".join(f"<th>{_html(column)}</th>" for column in section.columns)
    body = "".join("<tr>" + "".join(f"<td>{_html_cell(cell)}</td>" for cell in row) + "</tr>\n" for row in section.rows)
    return f'<div class="wide">\n<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n</div>\n'


def _html_cell(cell: Cell) -> str:
    return f'<data value="{cell.number!r}">{_html(cell.text)}</data>' if isinstance(cell, Value) else _html(str(cell))


def _text(cell: Cell) -> str:
    return cell.text if isinstance(cell, Value) else str(cell)


def _html(text: str) -> str:
    return escape(_UNSAFE.sub("\ufffd", text), quote=True)


def _mark(text: str) -> str:
    """Text for a line of Markdown: nor does it begin a list or a rule."""
    return _LIST.sub(r"\1\\\2", _inside(text))


def _inside(text: str) -> str:
    """Text inside a line or a cell of Markdown: every sign that could mean something stands for itself."""
    return _SIGNS.sub(r"\\\g<0>", " ".join(_UNSAFE.sub("\ufffd", text).split()))
