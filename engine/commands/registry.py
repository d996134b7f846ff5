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
    "add": "engine.commands.data:Add",
    "datasets": "engine.commands.data:Datasets",
    "show": "engine.commands.data:Show",
    "forget": "engine.commands.forget:Forget",
    "stats": "engine.commands.stats:Stats",
    "sql": "engine.commands.sql:Sql",
    "keep": "engine.commands.sql:Keep",
    "export": "engine.commands.sql:Export",
    # changing data, with lineage
    "filter": "engine.commands.change:Filter",
    "map": "engine.commands.change:Map",
    "rename": "engine.commands.change:Rename",
    "drop": "engine.commands.change:Drop",
    "cast": "engine.commands.change:Cast",
    "sample": "engine.commands.change:Sample",
    "shuffle": "engine.commands.change:Shuffle",
    "split": "engine.commands.change:Split",
    "concat": "engine.commands.change:Concat",
    "dedupe": "engine.commands.change:Dedupe",
    "edit": "engine.commands.edit:Edit",
    "label": "engine.commands.edit:Label",
    "undo": "engine.commands.versions:Undo",
    "redo": "engine.commands.versions:Redo",
    "history": "engine.commands.versions:History",
    "replay": "engine.commands.versions:Replay",
    # search and answers
    "index": "engine.commands.search:Index",
    "search": "engine.commands.search:Search",
    "similar": "engine.commands.search:Similar",
    "ask": "engine.commands.ask:Ask",
    # quality and the map
    "check": "engine.commands.quality:Check",
    "findings": "engine.commands.quality:Findings",
    "atlas": "engine.commands.quality:Atlas",
    "clusters": "engine.commands.quality:Clusters",
    # models and chat
    "models": "engine.commands.models:Models",
    "fit": "engine.commands.fit:FitCommand",
    "load": "engine.commands.loading:Load",
    "unload": "engine.commands.loading:Unload",
    "loaded": "engine.commands.loading:Loaded",
    "pull": "engine.commands.models:Pull",
    "find": "engine.commands.hub:Find",
    "card": "engine.commands.hub:Card",
    "login": "engine.commands.hub:Login",
    "whoami": "engine.commands.hub:Whoami",
    "logout": "engine.commands.hub:Logout",
    "use": "engine.commands.models:Use",
    "tune": "engine.commands.tune:Tune",
    "chat": "engine.commands.chat:Chat",
    "result": "engine.commands.toolresult:ToolResult",
    "regenerate": "engine.commands.chat:Regenerate",
    "revise": "engine.commands.chat:Revise",
    "continue": "engine.commands.chat:Continue",
    "attach": "engine.commands.attach:Attach",
    "sampling": "engine.commands.sampling:SetSampling",
    "preset": "engine.commands.sampling:Preset",
    "context": "engine.commands.sampling:Context",
    "clear": "engine.commands.chat:Clear",
    "complete": "engine.commands.going_on:Complete",
    "connect": "engine.commands.endpoints:Connect",
    "disconnect": "engine.commands.endpoints:Disconnect",
    "sessions": "engine.commands.sessions:Sessions",
    "session": "engine.commands.sessions:Session",
    "branch": "engine.commands.sessions:Branch",
    "export-chat": "engine.commands.sessions:ExportChat",
    "tokens": "engine.commands.tokens:Tokens",
    "train-tokenizer": "engine.commands.tokens:TrainTokenizer",
    "new": "engine.commands.fresh:New",
    "serve": "engine.commands.serve:Serve",
    "servers": "engine.commands.serve:Servers",
    # training and evaluation
    "train": "engine.commands.training:Train",
    "capsule": "engine.commands.capsules:WriteCapsule",
    "replay-run": "engine.commands.capsules:ReplayRun",
    "checkpoints": "engine.commands.checkpoints:Checkpoints",
    "scrub": "engine.commands.checkpoints:Scrub",
    "merge": "engine.commands.merge:Merge",
    "export-model": "engine.commands.exporting:ExportModel",
    "sweep": "engine.commands.sweep:Sweep",
    "trials": "engine.commands.trials:Trials",
    "preflight": "engine.commands.preflight:Preflight",
    "checkpoint": "engine.commands.steering:Checkpoint",
    "finish": "engine.commands.steering:Finish",
    "mask": "engine.commands.masking:Mask",
    "evaluate": "engine.commands.evaluation:Evaluate",
    "runs": "engine.commands.evaluation:Runs",
    "harness": "engine.commands.harness:Harness",
    "predict": "engine.commands.predict:Predict",
    "compare": "engine.commands.compare:Compare",
    "worst": "engine.commands.worst:Worst",
    "nearest": "engine.commands.worst:Nearest",
    "report": "engine.commands.report:ReportCommand",
    "versus": "engine.commands.versus:Versus",
    "versus-run": "engine.commands.versus:VersusRun",
    "ballot": "engine.commands.versus:BallotCommand",
    "vote": "engine.commands.versus:Vote",
    "votes": "engine.commands.versus:Votes",
    "judge": "engine.commands.judge:Judge",
    "verdicts": "engine.commands.judge:Verdicts",
    # jobs
    "jobs": "engine.commands.jobs:Jobs",
    "job": "engine.commands.jobs:Job",
    "logs": "engine.commands.jobs:Logs",
    "curves": "engine.commands.curves:Curves",
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
