"""Every environment variable Lightbox reads, typed and documented in one class.

Defaults are the safe ones: this machine only, no history, no analytics, nothing served from disk that was not made for the visitor who asks.
`WORKBENCH_DATA`, `WORKBENCH_HOST` and `WORKBENCH_PORT` are names that others rely on.
"""

from __future__ import annotations

import os
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Self

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def _default_home() -> Path:
    """Where visitors' results are kept: the user's cache folder or, where that cannot be written (a read-only container), the temporary one."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    try:
        home = cache / "lightbox"
        home.mkdir(parents=True, exist_ok=True)
        if os.access(home, os.W_OK):
            return home
    except (OSError, RuntimeError):
        pass
    return Path(tempfile.gettempdir()) / "lightbox"


class Settings(BaseSettings):
    """Read once at start; every field is `WORKBENCH_<NAME>` in the environment unless its aliases say otherwise."""

    # values are hidden in error messages: one of them holds passwords
    model_config = SettingsConfigDict(
        env_prefix="WORKBENCH_", frozen=True, env_ignore_empty=True, populate_by_name=True, hide_input_in_errors=True
    )

    host: str = Field(
        "",
        validation_alias=AliasChoices("WORKBENCH_HOST", "GRADIO_SERVER_NAME"),
        description="address to listen on; 127.0.0.1, on a Space 0.0.0.0",
    )
    port: int = Field(
        7860,
        validation_alias=AliasChoices("WORKBENCH_PORT", "GRADIO_SERVER_PORT"),
        ge=0,
        le=65535,
        description="one port for page, tiles and health",
    )
    root_path: str = Field(
        "",
        validation_alias=AliasChoices("WORKBENCH_ROOT_PATH", "GRADIO_ROOT_PATH"),
        description="public path when behind a proxy, e.g. /lightbox",
    )
    space_id: str = Field("", validation_alias="SPACE_ID", description="set by Hugging Face on a Space")

    home: Path = Field(default_factory=_default_home, description="folder of visitors' results and of running jobs")
    data: Path | None = Field(None, description="folder of the real image sets (read by the models' own data adapters)")
    slides: Annotated[tuple[Path, ...], NoDecode] = Field(
        (), description="folders of whole slides that everybody may look at, separated by commas or as in PATH; none by default"
    )
    clip: str = Field("", description="which CLIP: small, an open_clip model with tag or file, or a file (read by the models)")
    sam2: str = Field("", description="file or folder of SAM 2 weights (read by the models)")

    users: Annotated[tuple[tuple[str, SecretStr], ...], NoDecode] = Field(
        (), description="login, as name:password,name:password; none by default"
    )
    allow_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="other web origins whose pages may call this server; none by default"
    )
    max_upload_mb: int = Field(512, ge=1, description="largest upload")
    session_capacity: int = Field(500, ge=1, description="visitors whose page state is kept at once")
    delete_cache_s: int = Field(3600, ge=60, description="age at which uploaded and drawn files are deleted, seconds")
    device: str = Field("auto", description="auto, cpu or cuda: where models run")

    max_jobs: int = Field(
        default_factory=lambda: max(1, min(4, os.cpu_count() or 1)), ge=1, description="long jobs at once; further ones wait in line"
    )
    max_queued_jobs: int = Field(16, ge=1, description="length of that line")
    jobs_per_visitor: int = Field(4, ge=1, description="running and waiting jobs of one visitor")
    workspace_mb: int = Field(500, ge=1, description="kept results of one visitor")
    keep_days: float = Field(7.0, gt=0, description="age at which a visitor's results are deleted, days")
    ray: str = Field("", description="Ray cluster that batches are sent to: local, auto or ray://host:port; none by default")
    warm: bool = Field(True, description="load torch in the background once the page is served")

    @field_validator("users", mode="before")
    @classmethod
    def _split_users(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        parts = [part.partition(":") for part in value.split(",") if part.strip()]
        pairs = [(name.strip(), password) for name, _, password in parts]
        if not all(name and password for name, password in pairs) or (value.strip() and not pairs):
            raise ValueError("WORKBENCH_USERS must read name:password, several separated by commas; check the value and start again.")
        if len(dict(pairs)) < len(pairs):
            raise ValueError("WORKBENCH_USERS names somebody twice; give every person one name and one password.")
        return tuple((name, SecretStr(password)) for name, password in pairs)

    @field_validator("allow_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("slides", mode="before")
    @classmethod
    def _split_folders(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        parts = [part.strip() for some in value.split(",") for part in some.split(os.pathsep)]
        return tuple(Path(part).expanduser() for part in parts if part)

    @model_validator(mode="after")
    def _fill_host(self) -> Self:
        if not self.host:
            object.__setattr__(self, "host", "0.0.0.0" if self.space_id else "127.0.0.1")
        return self

    @property
    def uploads(self) -> Path:
        """Folder for uploaded and drawn files, made readable to this server's user alone."""
        folder = self.home / "uploads"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    @property
    def is_public(self) -> bool:
        """True when machines other than this one can reach the address."""
        return self.host not in LOOPBACK

    @property
    def logins(self) -> list[tuple[str, str]] | None:
        """Login pairs as Gradio takes them, or None when nobody has to log in."""
        return [(name, password.get_secret_value()) for name, password in self.users] or None


@lru_cache
def settings() -> Settings:
    """The settings of this process, read from the environment at the first call."""
    return Settings()
