"""Every verb and where its Command lives. Modules are loaded on first use."""

from __future__ import annotations

import importlib
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from engine.errors import JobError, NotFound

if TYPE_CHECKING:
    from engine.commands.base import Command, Work

VERBS: dict[str, str] = {
    # data
    "add": "engine.commands.data.datasets:Add",
    "datasets": "engine.commands.data.datasets:Datasets",
    "show": "engine.commands.data.datasets:Show",
    "forget": "engine.commands.data.forget:Forget",
    "stats": "engine.commands.data.stats:Stats",
    "sql": "engine.commands.data.sql:Sql",
    "keep": "engine.commands.data.sql:Keep",
    "export": "engine.commands.data.sql:Export",
    # changing data, with lineage
    "filter": "engine.commands.data.change:Filter",
    "map": "engine.commands.data.change:Map",
    "rename": "engine.commands.data.change:Rename",
    "drop": "engine.commands.data.change:Drop",
    "cast": "engine.commands.data.change:Cast",
    "sample": "engine.commands.data.change:Sample",
    "shuffle": "engine.commands.data.change:Shuffle",
    "split": "engine.commands.data.change:Split",
    "concat": "engine.commands.data.change:Concat",
    "dedupe": "engine.commands.data.change:Dedupe",
    "edit": "engine.commands.data.edit:Edit",
    "label": "engine.commands.data.edit:Label",
    "undo": "engine.commands.data.versions:Undo",
    "redo": "engine.commands.data.versions:Redo",
    "history": "engine.commands.data.versions:History",
    "replay": "engine.commands.data.versions:Replay",
    # search and answers
    "index": "engine.commands.data.search:Index",
    "search": "engine.commands.data.search:Search",
    "similar": "engine.commands.data.search:Similar",
    "ask": "engine.commands.data.ask:Ask",
    # quality and the map
    "check": "engine.commands.data.quality:Check",
    "findings": "engine.commands.data.quality:Findings",
    "atlas": "engine.commands.data.quality:Atlas",
    "clusters": "engine.commands.data.quality:Clusters",
    # models and chat
    "models": "engine.commands.models.catalogue:Models",
    "fit": "engine.commands.models.fit:FitCommand",
    "load": "engine.commands.models.loading:Load",
    "unload": "engine.commands.models.loading:Unload",
    "loaded": "engine.commands.models.loading:Loaded",
    "pull": "engine.commands.models.catalogue:Pull",
    "find": "engine.commands.models.find:Find",
    "card": "engine.commands.models.card:Card",
    "login": "engine.commands.models.account:Login",
    "whoami": "engine.commands.models.account:Whoami",
    "logout": "engine.commands.models.account:Logout",
    "use": "engine.commands.models.catalogue:Use",
    "tune": "engine.commands.models.tune:Tune",
    "chat": "engine.commands.talk.chat:Chat",
    "result": "engine.commands.talk.toolresult:ToolResult",
    "regenerate": "engine.commands.talk.chat:Regenerate",
    "revise": "engine.commands.talk.chat:Revise",
    "continue": "engine.commands.talk.chat:Continue",
    "attach": "engine.commands.talk.attach:Attach",
    "sampling": "engine.commands.talk.sampling:SetSampling",
    "preset": "engine.commands.talk.sampling:Preset",
    "context": "engine.commands.talk.sampling:Context",
    "clear": "engine.commands.talk.chat:Clear",
    "complete": "engine.commands.talk.going_on:Complete",
    "connect": "engine.commands.models.endpoints:Connect",
    "disconnect": "engine.commands.models.endpoints:Disconnect",
    "sessions": "engine.commands.talk.sessions:Sessions",
    "session": "engine.commands.talk.sessions:Session",
    "branch": "engine.commands.talk.sessions:Branch",
    "export-chat": "engine.commands.talk.sessions:ExportChat",
    "tokens": "engine.commands.models.tokens:Tokens",
    "train-tokenizer": "engine.commands.models.tokens:TrainTokenizer",
    "new": "engine.commands.models.fresh:New",
    "serve": "engine.commands.models.serve:Serve",
    "servers": "engine.commands.models.serve:Servers",
    # training and evaluation
    "train": "engine.commands.training.train:Train",
    "capsule": "engine.commands.training.capsules:WriteCapsule",
    "replay-run": "engine.commands.training.capsules:ReplayRun",
    "checkpoints": "engine.commands.training.checkpoints:Checkpoints",
    "scrub": "engine.commands.training.checkpoints:Scrub",
    "merge": "engine.commands.models.merge:Merge",
    "export-model": "engine.commands.models.exporting:ExportModel",
    "sweep": "engine.commands.training.sweep:Sweep",
    "trials": "engine.commands.training.trials:Trials",
    "preflight": "engine.commands.training.preflight:Preflight",
    "checkpoint": "engine.commands.training.steering:Checkpoint",
    "finish": "engine.commands.training.steering:Finish",
    "mask": "engine.commands.training.masking:Mask",
    "evaluate": "engine.commands.evaluation.evaluate:Evaluate",
    "runs": "engine.commands.evaluation.evaluate:Runs",
    "harness": "engine.commands.evaluation.harness:Harness",
    "predict": "engine.commands.evaluation.predict:Predict",
    "compare": "engine.commands.evaluation.compare:Compare",
    "worst": "engine.commands.evaluation.worst:Worst",
    "nearest": "engine.commands.evaluation.worst:Nearest",
    "report": "engine.commands.evaluation.report:ReportCommand",
    "versus": "engine.commands.talk.versus:Versus",
    "versus-run": "engine.commands.talk.versus:VersusRun",
    "ballot": "engine.commands.talk.versus:BallotCommand",
    "vote": "engine.commands.talk.versus:Vote",
    "votes": "engine.commands.talk.versus:Votes",
    "judge": "engine.commands.evaluation.judge:Judge",
    "verdicts": "engine.commands.evaluation.judge:Verdicts",
    # jobs
    "jobs": "engine.commands.jobs:Jobs",
    "job": "engine.commands.jobs:Job",
    "logs": "engine.commands.jobs:Logs",
    "curves": "engine.commands.training.curves:Curves",
    "pause": "engine.commands.jobs:Pause",
    "resume": "engine.commands.jobs:Resume",
    "cancel": "engine.commands.jobs:Cancel",
    "move": "engine.commands.jobs:Move",
    # the workspace
    "setup": "engine.commands.system:Setup",
    "guide": "engine.commands.system:Guide",
    "doctor": "engine.commands.system:Doctor",
    "disk": "engine.commands.system:Disk",
}


@cache
def command(verb: str) -> type[Command]:
    """The Command class of a verb. Raises ``NotFound`` with near matches."""
    try:
        module, name = VERBS[verb].split(":")
    except KeyError:
        raise NotFound.named("command", verb, VERBS, "`help` lists them.") from None
    found: type[Command] = getattr(importlib.import_module(module), name)
    return found


def restore(verb: str, values: dict[str, Any]) -> Work:
    """The Command of a stored job. Raises ``JobError`` when this version can no longer read it."""
    try:
        return cast("Work", command(verb).model_validate(values))
    except (ValueError, NotFound) as error:
        raise JobError(f"This job was written by another version of Bittern: {error}", "Cancel it and start it again.") from None
