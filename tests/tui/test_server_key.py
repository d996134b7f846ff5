"""The key of a server, asked for in a box and never shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keyring
from keyring.backends.fail import Keyring
from textual.widgets import Input

from tests.fakes.openai_server import openai_server
from tests.tui.test_find import opened, text_of
from tests.tui.test_flows import screen, until
from tui.screens.sign_in import SignInScreen
from tui.widgets.chatbox import ChatBox

if TYPE_CHECKING:
    from pathlib import Path


class Ring(Keyring):
    """Keeps keys in memory."""

    priority = 9
    kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password


async def test_a_key_is_asked_for_unseen(home: Path) -> None:
    before = keyring.get_keyring()
    keyring.set_keyring(Ring())
    try:
        with openai_server() as server:
            server.lock = "sk-heron-78"
            async with screen(home) as (app, pilot):
                box = app.main.query_one(ChatBox)
                box.focus()
                box.put(f"/connect locked {server.url} --model echo --key-from-keyring")
                await pilot.press("enter")
                shown: SignInScreen = await until(lambda: opened(app, SignInScreen))
                line = shown.query_one(Input)
                assert line.password
                line.value = "wrong"
                await pilot.press("enter")
                await until(lambda: "refuses the key" in text_of(shown, "#sign-in-told"))
                line.value = server.lock
                await pilot.press("enter")
                await until(lambda: app.screen is app.main)
                assert Ring.kept == {("bittern", "locked"): server.lock}
                assert not any(server.lock in message.text for message in app.chat.messages)
                assert app.engine.workspace.models.get("locked").kind == "endpoint"
    finally:
        keyring.set_keyring(before)
