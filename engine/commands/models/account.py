"""Who is signed in at the Hub: login, whoami, logout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.commands.base import Desk, Now
from engine.errors import HubError
from engine.results import Result

if TYPE_CHECKING:
    from engine.hub.account import Account


class Login(Now):
    """Sign in at the Hub with an access token, for gated and private models. It is checked, then kept in the Hub's own store.

    On the screen a box asks for it, unseen. In a shell it is read from a prompt, from a pipe (`login < token.txt`) or
    from HF_TOKEN, never from the line itself.
    """

    verb = "login"
    effect = "network"
    secret = True
    asking = "Token to login with (it is not shown; empty takes HF_TOKEN): "
    examples = ("login",)

    def run(self, desk: Desk) -> Result:
        from engine.hub.account import from_environment, sign_in

        token = desk.secret or from_environment()
        if not token:
            raise HubError(
                "No token was given.", "Make one in your settings at the Hub (Access Tokens, read), then type login and paste it when asked."
            )
        account = sign_in(desk.workspace.settings, token, desk.cancel)
        return _signed(account, "You are signed in as")


class Whoami(Now):
    """Say who is signed in at the Hub, and what the token may do."""

    verb = "whoami"
    effect = "network"
    examples = ("whoami",)

    def run(self, desk: Desk) -> Result:
        from engine.hub.account import who

        account = who(desk.workspace.settings, desk.cancel)
        if account is None:
            return Result("Nobody is signed in. Open models need no account; `login` signs in for gated and private ones.", {"name": None})
        return _signed(account, "You are")


class Logout(Now):
    """Sign out: remove the token from the Hub's store on this machine."""

    verb = "logout"
    effect = "write"
    examples = ("logout",)

    def run(self, desk: Desk) -> Result:  # noqa: ARG002
        from engine.hub.account import sign_out

        still = sign_out()
        return Result(
            "The token is removed from this machine's store." + (" HF_TOKEN is set and is still used: unset it too." if still else ""),
            {"signed_in": still},
        )


def _signed(account: Account, lead: str) -> Result:
    token = f" with the token “{account.token}”" if account.token else ""
    role = f" ({account.role})" if account.role else ""
    groups = f" Organisations: {', '.join(account.organisations)}." if account.organisations else ""
    data = {"name": account.name, "organisations": list(account.organisations), "token": account.token, "role": account.role, "kept": account.kept}
    return Result(f"{lead} {account.name}{token}{role}, from {account.kept}.{groups}", data)
