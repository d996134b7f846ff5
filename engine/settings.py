"""Settings: the environment (``BITTERN_…``) over ``settings.toml`` in the workspace over the defaults here."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from engine.errors import WorkspaceError

if TYPE_CHECKING:
    from pathlib import Path


class Settings(BaseSettings):
    """What a person may set. Each field's description is its help everywhere."""

    model_config = SettingsConfigDict(env_prefix="BITTERN_", frozen=True, extra="ignore")

    runner: Literal["child", "thread"] = Field(
        "child", description="Where heavy jobs run: a low-priority child process, or the worker thread itself (for debuggers)"
    )
    threads: int = Field(0, ge=0, description="CPU threads for models; 0 means one for each core")
    niceness: int = Field(10, ge=0, le=19, description="How far heavy jobs step back for the screen and the chat")
    hub: Literal["auto", "off"] = Field("auto", description="Whether to look for the Hugging Face Hub at all")
    hub_timeout: float = Field(2.0, gt=0, description="Seconds to wait for the Hub's first answer before going on without it")
    hub_stall: float = Field(60.0, gt=0, description="Seconds without a single byte after which a download or a question to the Hub is given up")
    hub_wait: float = Field(900.0, ge=0, description="The longest time in seconds that a job waits when the Hub asks to slow down")
    context: int = Field(4096, ge=256, description="Context window asked of a chat model, in tokens")
    batch: int = Field(
        0,
        ge=0,
        le=4096,
        description="Tokens of a prompt that llama.cpp reads at once on a CPU, and hears Esc between; 0 is 512, or 128 from 600 MB on",
    )
    precise: bool = Field(False, description="Compute answers in 32 bits where that can be chosen: slower, and the same words in every engine")
    lookup: int = Field(0, ge=0, le=64, description="Tokens that llama.cpp copies from the conversation and checks in one step; 0 is off")
    theme: str = Field("textual-dark", description="The screen's theme")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # init_settings carry the file's values, and the environment wins over the file.
        return env_settings, init_settings

    @classmethod
    def load(cls, root: Path) -> Settings:
        """The settings of the workspace at ``root``. Raises ``WorkspaceError`` naming the file and the field."""
        file = root / "settings.toml"
        try:
            values = tomllib.loads(file.read_text("utf-8")) if file.is_file() else {}
            return cls(**values)
        except tomllib.TOMLDecodeError as error:
            raise WorkspaceError(f"{file} is not valid TOML: {error}.", "Mend the file or move it away.") from None
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            raise WorkspaceError(f"The setting “{name}” is wrong: {first['msg']}.", f"Look in {file} and in BITTERN_{name.upper()}.") from None
