"""What a check found: the findings, the groups of rows of one, and two rows of a group side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from engine.errors import BitternError
from tui.messages import FillBox, OpenRow, OpenView, RunLine
from tui.text import clean, one_line
from tui.widgets.differences import told_apart
from tui.widgets.keyline import KeyLine
from tui.widgets.lists import NamedList

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.message import Message

    from engine.quality.report import Finding, Group, Member, Report
    from tui.bridge import Bridge

PAGE = 100
"""Groups put into the list at a time; the next come when the cursor reaches the end."""
MARKS = {"high": ("▲", "$error"), "medium": ("●", "$warning"), "low": ("·", "$text-muted")}


class Groups(OptionList):
    """The rows of a finding, group by group. An option's id is ``GROUP.MEMBER``."""

    BINDINGS: ClassVar[list[BindingType]] = [("j", "cursor_down"), ("k", "cursor_up"), Binding("enter", "select", "Open row")]

    def __init__(self) -> None:
        super().__init__(id="groups", markup=False, compact=True)
        self._finding: Finding | None = None
        self._drawn = 0

    def show(self, finding: Finding) -> None:
        self._finding, self._drawn = finding, 0
        self.clear_options()
        self.more()
        self.action_first()

    def more(self) -> None:
        """Draw the next groups."""
        if self._finding is None:
            return
        options: list[Option] = []
        for number, group in enumerate(self._finding.examples[self._drawn : self._drawn + PAGE], start=self._drawn):
            options.append(Option(self._heading(number, group), disabled=True))
            options += [Option(_line(member), id=f"{number}.{place}") for place, member in enumerate(group.members)]
            if group.more:
                options.append(Option(Content.styled(f"    and {group.more:,} more", "$text-muted"), disabled=True))
        self._drawn += PAGE
        if self._drawn >= (shown := len(self._finding.examples)) and shown < self._finding.groups:
            told = f"The first {shown:,} of {self._finding.groups:,} groups; the filter means all of them."
            options.append(Option(Content.styled(told, "$text-muted"), disabled=True))
        self.add_options(options)

    @property
    def at(self) -> tuple[Group, int] | None:
        """The group under the cursor, and which of its members."""
        option = self.highlighted_option
        if option is None or option.id is None or self._finding is None:
            return None
        group, _, member = option.id.partition(".")
        return self._finding.examples[int(group)], int(member)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        if event.option_index >= self.option_count - 3:
            self.more()

    def _heading(self, number: int, group: Group) -> Content:
        likeness = f"  {group.score:.2f}" if group.score is not None else ""
        count = len(group.members) + group.more
        return Content.styled(f"{number + 1}{likeness}  {_count(count, 'row')}", "$text-muted")


class QualityScreen(Screen[None]):
    """``name``: the dataset whose last check is shown."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "Back"),
        Binding("o", "open", "Open as table"),
        Binding("f", "filter", "Filter line"),
        Binding("r", "again", "Check again"),
        Binding("tab", "app.focus_next", "Switch", show=False),
    ]

    def __init__(self, bridge: Bridge, name: str) -> None:
        super().__init__()
        self._bridge, self._dataset = bridge, name
        self._report: Report | None = None
        self._stale = False

    def compose(self) -> ComposeResult:
        yield Static(id="quality-title", markup=False)
        with Horizontal(id="quality-body"):
            yield NamedList(id="findings", empty="Nothing was found.")
            with Vertical(id="quality-rows"):
                yield Static(id="finding-says", markup=False)
                yield Groups()
                with Horizontal(id="beside"):
                    for side in ("left", "right"):
                        with VerticalScroll(id=f"beside-{side}", can_focus=False):
                            yield Static(markup=False)
        yield KeyLine()

    def on_mount(self) -> None:
        self.query_one("#findings").focus()
        self.run_worker(self._load(), exit_on_error=False)

    async def _load(self) -> None:
        from engine.commands.data.quality import is_stale, last_report

        engine: Any = self._bridge.engine
        try:
            report = await self._bridge.call(lambda: last_report(engine.workspace, self._dataset))
            stale = await self._bridge.call(lambda: is_stale(engine.workspace, report))
        except BitternError as error:
            self.query_one("#quality-title", Static).update(Content(clean(f"{error.message} {error.hint}")))
            return
        self._report, self._stale = report, stale
        self._draw_title(report, stale)
        self.query_one("#findings", NamedList).show([(finding.key, _entry(finding)) for finding in report.findings])

    def _draw_title(self, report: Report, stale: bool) -> None:
        against = f" against {report.against}" if report.against else ""
        told: list[Content | str] = [
            Content.styled(one_line(f" {report.dataset}{against}", 60), "bold $accent"),
            f"  {report.rows:,} rows, {len(report.findings)} findings",
        ]
        if stale:
            told.append(Content.styled("  The data changed since: press r to check again.", "$warning"))
        for reason in report.skipped:
            told.append(Content.styled(f"\n {clean(reason)}", "$text-muted"))
        self.query_one("#quality-title", Static).update(Content.assemble(*told))

    @property
    def finding(self) -> Finding | None:
        """The finding under the cursor."""
        chosen = self.query_one("#findings", NamedList).chosen
        return next((finding for finding in self._report.findings if finding.key == chosen), None) if self._report else None

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        if event.option_list.id == "findings":
            if finding := self.finding:
                self.query_one("#finding-says", Static).update(
                    Content.assemble((f"{_count(finding.rows, 'row')} in {_count(finding.groups, 'group')}. ", "bold"), clean(finding.says))
                )
                self.query_one(Groups).show(finding)
        elif at := self.query_one(Groups).at:
            self._compare(*at)

    def _compare(self, group: Group, number: int) -> None:
        """The row under the cursor beside the first of its group (or the second beside the first)."""
        first = group.members[0]
        other = group.members[number] if number else group.members[1] if len(group.members) > 1 else None
        texts = told_apart(first.text, other.text) if other else (Content(clean(first.text)), Content(""))
        for side, member, text in zip(("left", "right"), (first, other), texts, strict=True):
            box = self.query_one(f"#beside-{side}", VerticalScroll)
            box.display = member is not None
            if member:
                box.border_title = one_line(f"{member.address}{f' · {member.label}' if member.label else ''}", 70)
                box.query_one(Static).update(text)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if event.option_list.id == "findings":
            self.query_one(Groups).focus()
        elif (at := self.query_one(Groups).at) and not self._other_rows():
            group, number = at
            self._leave(OpenRow(group.members[number].address))

    def action_open(self) -> None:
        """The rows that the filter would take out, as a table: of the split where the cursor is, if it has some."""
        finding = self.finding
        if finding is None or self._report is None or self._other_rows():
            return
        at = self.query_one(Groups).at
        here = at[0].members[at[1]].address.split("/")[-2] if at else ""
        split = here if here in finding.splits else next(iter(finding.splits))
        if others := [name for name in finding.splits if name != split]:
            self.app.notify(one_line(f"These are the rows of {split}; {', '.join(others)} has some too.", 200), markup=False)
        self._leave(OpenView(self._report.dataset, split, finding.splits[split]))

    def action_filter(self) -> None:
        from engine.commands.data.quality import filter_line

        if (finding := self.finding) and self._report and not self._other_rows():
            self._leave(FillBox("/" + filter_line(self._report.dataset, finding.where)))

    def _other_rows(self) -> bool:
        """Whether the addresses may mean other rows by now; it is said."""
        if self._stale:
            self.notify(
                "The data changed after this check, so these may be other rows now. Press r to check again.", severity="warning", markup=False
            )
        return self._stale

    def action_again(self) -> None:
        against = f" --against {self._report.against}" if self._report and self._report.against else ""
        self._leave(RunLine(f"check {self._dataset}{against}", quiet=True))

    def _leave(self, message: Message) -> None:
        """Back to the main screen, which does what is asked."""
        self.app.pop_screen()
        self.app.post_message(message)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' if number != 1 else ''}"


def _entry(finding: Finding) -> Content:
    mark, style = MARKS[finding.severity]
    return Content.assemble((f"{mark} ", style), (f"{finding.rows:>7,}  ", "bold"), one_line(finding.title, 60))


def _line(member: Member) -> Content:
    mark = ("  ✕ ", "$error") if member.goes else ("  ✓ ", "$success")
    note = Content.styled(f"  {one_line(member.note, 60)}", "$warning") if member.note else ""
    label = Content.styled(f"  {one_line(member.label, 24)}", "$secondary") if member.label else ""
    place = member.address.partition("/")[2] if member.goes else member.address
    return Content.assemble(mark, (f"{one_line(place, 28)}", "$text-muted"), label, note, f"  {one_line(member.text, 240)}")
