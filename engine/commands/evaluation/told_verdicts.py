"""What a judge said, as answers that every face shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.results import Result, Table

if TYPE_CHECKING:
    from engine.store.jobs import JobRecord
    from engine.store.workspace import Workspace

FOLLOWS = ": this judge goes by the order more than by the answers"
SHOWN = 200
"""Characters of a prompt or an answer in a table."""


def compared(workspace: Workspace, data: dict[str, Any], rows: list[dict[str, Any]]) -> Result:
    """Who wins, how much the order decided, and how well people agree. ``data`` is what is known besides."""
    from engine.evaluation.agreement import Agreement, position, won
    from engine.evaluation.judged import people

    sides, order = won(rows), position(rows)
    votes = Agreement.of(people(rows, workspace.ballots.all()), [row["verdict"] for row in rows]).as_data()
    told: list[dict[str, Any]] = []
    for pair in sides:
        low, high = pair.interval()
        counts = {"wins": pair.wins, "losses": pair.losses, "ties": pair.ties}
        told.append({"a": pair.a, "b": pair.b, **counts, "rate": pair.rate, "low": low, "high": high})
    unread = sum(row["asked"] and not (row["ab"] and row["ba"]) for row in rows)
    data = {
        **data, "pairs": told, "position": order, "agreement": votes, "unread": unread,
        "same": sum(row["answer_a"] == row["answer_b"] for row in rows),
        "left_out": sum(not row["asked"] and not row["verdict"] for row in rows),
    }  # fmt: skip
    return Result(_aloud(data), data, _table(data))


def _aloud(data: dict[str, Any]) -> str:
    missed = data["left_out"] + data["unread"]
    part = f"{data['judged'] - missed:,} of " if missed else ""
    said = [f"{data['judge']} judged {part}{len_of(data['judged'], 'pair')}."]
    if data["pairs"]:
        first = data["pairs"][0]
        counts = f"{first['wins']} won, {first['losses']} lost, {first['ties']} tied"
        said.append(f"{first['a']} against {first['b']}: {counts}, a win rate of {first['rate']:.0%} ({_between(first['low'], first['high'])}).")
    order, votes = data["position"], data["agreement"]
    if order["asked"]:
        said.append(f"The order of the answers changed {order['bias']:.0%} of the verdicts{FOLLOWS if order['low'] > 0.5 else ''}.")
    if votes["votes"]:
        kappa = "" if votes["kappa"] is None else f" (kappa {votes['kappa']:.2f})"
        said.append(f"It agrees with {votes['raw']:.0%} of {len_of(votes['votes'], 'vote')}{kappa}.")
    else:
        said.append("No person has voted on these pairs yet.")
    return " ".join([*said, *_left_out(data, "pair")])


def _left_out(data: dict[str, Any], what: str) -> list[str]:
    """What has no verdict, and why: a sentence for each reason."""
    said = [f"{len_of(data['left_out'], what)} left out: too long for the judge."] if data["left_out"] else []
    if data["unread"]:
        said.append(f"{len_of(data['unread'], what)} left out: its words could not be read. They stand in {data['verdicts']}.")
    return said


def _table(data: dict[str, Any]) -> Table:
    order, votes = data["position"], data["agreement"]
    rows = [
        [f"win rate of {pair['a']} against {pair['b']}", f"{pair['rate']:.1%}", _between(pair["low"], pair["high"]),
         f"{pair['wins']} won, {pair['losses']} lost, {pair['ties']} tied"]
        for pair in data["pairs"]
    ]  # fmt: skip
    if order["asked"]:
        rows.append(
            ["position bias", f"{order['bias']:.1%}", _between(order["low"], order["high"]), f"{order['changed']} of {order['asked']} changed"]
        )
    if order["first"] is not None:
        rows.append(["first place preferred", f"{order['first']:.1%}", "", "a half where the order says nothing"])
    if votes["votes"]:
        rows.append(["agreement with people", f"{votes['raw']:.1%}", _between(votes["low"], votes["high"]), len_of(votes["votes"], "vote")])
        if votes["kappa"] is not None:
            between = f"{votes['kappa_low']:.3f} to {votes['kappa_high']:.3f}"
            rows.append(["Cohen's kappa", f"{votes['kappa']:.3f}", between, "0 where no more than chance, 1 where always"])
    return Table(["figure", "value", "95 %", ""], rows)


def scored(data: dict[str, Any], rows: list[dict[str, Any]]) -> Result:
    """The mean of scores from 1 to 5, with its interval."""
    from engine.evaluation.intervals import of_means

    found = [row["score"] for row in rows if row["score"]]
    side, unread = rows[0]["side"], sum(row["asked"] and not row["score"] for row in rows)
    counts = {str(score): found.count(score) for score in range(1, 6)}
    mean, (low, high) = (sum(found) / len(found), of_means({"score": found})["score"]) if found else (None, (None, None))
    data |= {
        "side": side, "score": mean, "low": low, "high": high, "scores": counts, "unread": unread, "left_out": sum(not row["asked"] for row in rows),
    }  # fmt: skip
    said = f"{side}: {mean:.2f} of 5 by {data['judge']} ({low:.2f} to {high:.2f})" if found else f"{data['judge']} scored nothing"
    table = Table(["score", "answers"], [[score, str(count)] for score, count in counts.items()])
    many = len_of(len(found), "answer") if len(found) == len(rows) else f"{len(found):,} of {len_of(len(rows), 'answer')}"
    return Result(" ".join([f"{said}, {many}.", *_left_out(data, "answer")]), data, table)


def listed(jobs: list[JobRecord]) -> Result:
    """The jobs of `judge`, the newest first."""
    if not jobs:
        return Result("No model has judged yet: judge RUN RUN --by MODEL", {"judgings": []})
    jobs = sorted(jobs, key=lambda job: -int(job.id))
    data = [{"job": job.id, "title": job.title, "state": job.state, "summary": job.summary} for job in jobs]
    table = Table(["job", "what", "state", "found"], [[one["job"], one["title"], one["state"], one["summary"]] for one in data])
    return Result(f"{len_of(len(jobs), 'judging')}.", {"judgings": data}, table)


def one_by_one(workspace: Workspace, rows: list[dict[str, Any]], show: str, count: int) -> Result:
    """Pairs (or scored answers) in a table, with what the judge said in each order and what people said."""
    from engine.evaluation.judged import people

    if "score" in rows[0]:
        worst = sorted(rows, key=lambda row: row["score"])[:count]
        told = [[row["key"], _short(row["prompt"]), _short(row["answer"]), str(row["score"])] for row in worst]
        said = f"{len(worst)} of {len_of(len(rows), 'answer')}, the worst first."
        return Result(said, {"rows": worst}, Table(["row", "prompt", "answer", "score"], told))
    both = [{**row, "people": vote} for row, vote in zip(rows, people(rows, workspace.ballots.all()), strict=True)]
    wanted = {
        "changed": [row for row in both if row["asked"] and row["ab"] != row["ba"]],
        "against": [row for row in both if row["people"] and row["verdict"] and row["people"] != row["verdict"]],
        "all": both,
    }[show]
    cells = [
        [row["key"], _short(row["prompt"]), _short(row["answer_a"]), _short(row["answer_b"]), row["ab"] or "–", row["ba"] or "–",
         row["verdict"] or "left out", row["people"]]
        for row in wanted[:count]
    ]  # fmt: skip
    names = f" a is {rows[0]['a']}, b is {rows[0]['b']}." if len({(row["a"], row["b"]) for row in rows}) == 1 else ""
    table = Table(["row", "prompt", "a", "b", "a first", "b first", "verdict", "people"], cells) if cells else None
    return Result(f"{len(wanted)} of {len_of(len(rows), 'pair')}.{names}", {"rows": wanted[:count]}, table)


def len_of(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _between(low: float, high: float) -> str:
    return f"{low:.1%} to {high:.1%}"


def _short(text: str) -> str:
    return " ".join(text[:SHOWN].split())
