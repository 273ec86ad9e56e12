"""The settings of one deployment: environment over `frontdesk.yaml` over defaults. An unknown setting is an error.

`FRONTDESK_COMPANY=Lumen` sets `company`; `FRONTDESK_LIMITS__TURN_SECONDS=30` sets `limits.turn_seconds`; lists and
whole sections are given as JSON.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError as UnreadableVariableError

from chatbot.errors import SettingsError
from knowledge_base.encoder import DEFAULT_ENCODER

SETTINGS_FILE = "frontdesk.yaml"
ENVIRONMENT_PREFIX = "FRONTDESK_"


def _origin(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or value != f"{parts.scheme}://{parts.netloc}":
        raise ValueError("expected an origin such as https://www.example.com, without a path")
    return value


Origin = Annotated[str, AfterValidator(_origin)]


class Limits(BaseModel):
    """What one visitor, and all together, may ask of the service."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    message_characters: int = Field(default=4000, ge=1)
    messages_per_minute: int = Field(default=20, ge=1)
    waiting_turns: int = Field(default=32, ge=1)
    turn_seconds: float = Field(default=60.0, gt=0)


class Intent(BaseModel):
    """What the operator says about an intent. `title` goes from language to what customers see on buttons.

    `entry` is the id of the knowledge entry that answers this intent; `strict` says that nothing else may.
    Only an adapter reads intents: without one, `strict` does nothing.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: dict[str, str] = {}
    description: str = ""
    strict: bool = False
    entry: str = ""


class Settings(BaseSettings):
    """All settings with their defaults; see the commented `frontdesk.yaml` that `python -m chatbot.init` writes."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    company: str = "our company"
    greeting: str = "Hello! I answer questions about our products and services. What would you like to know?"
    languages: list[str] = Field(default=["en"], min_length=1)
    hours: str = ""
    contact: str = ""
    starters: list[str] = []
    max_error: float = Field(default=0.05, gt=0, lt=1)
    limits: Limits = Limits()
    allowed_origins: list[Origin] = []
    intents: dict[str, Intent] = {}
    encoder: str = DEFAULT_ENCODER
    base: str = ""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from the caller only: `load_settings` has put environment and file together."""
        return (init_settings,)


def load_settings(
    data_dir: Path | None, environ: Mapping[str, str] | None = None, file: Path | None = None
) -> Settings:
    """Return the settings: `environ` (the process's own by default) over a file over defaults.

    Args:
        data_dir: the folder whose `frontdesk.yaml` is read if there is one.
        environ: the variables.
        file: the file that is read in place of that one; it must exist.

    Raises:
        SettingsError: a setting is unknown or not valid, or the file cannot be read.
    """
    path = file or (None if data_dir is None else data_dir / SETTINGS_FILE)
    if file is not None and not file.is_file():
        raise SettingsError(f"--config {file}: expected a settings file, found none. Check the path.")
    from_file = {} if path is None else _read(path)
    environ = os.environ if environ is None else environ
    from_environment = _Variables(environ).read()
    try:
        return Settings(**_merged(from_file, from_environment))
    except ValidationError as error:
        variables = {name.upper() for name in environ}
        sentences = [_sentence(problem, path, variables) for problem in error.errors(include_url=False)]
        raise SettingsError("\n".join(sentences)) from error


class _Variables(EnvSettingsSource):
    """The settings among the variables of a mapping, in place of the process's own environment."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = {name.lower(): value for name, value in environ.items()}
        super().__init__(Settings, env_prefix=ENVIRONMENT_PREFIX, env_nested_delimiter="__")

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return self._environ

    def read(self) -> dict[str, Any]:
        """Return the settings that are given.

        Raises:
            SettingsError: a variable names no setting, or a list or section is not JSON.
        """
        prefix = ENVIRONMENT_PREFIX.lower()
        for name in self._environ:
            if name.startswith(prefix):
                self._require_setting(name.upper(), *name.removeprefix(prefix).split("__"))
        try:
            return dict(self())
        except UnreadableVariableError as error:
            field = next((name for name in Settings.model_fields if f'"{name}"' in str(error)), "")
            variable = f"{ENVIRONMENT_PREFIX}{field.upper()}"
            raise SettingsError(
                f'{variable}: expected JSON, such as ["a", "b"] for a list. Correct the variable.'
            ) from error

    def _require_setting(self, variable: str, name: str, *inner: str) -> None:
        field = Settings.model_fields.get(name)
        if field is None:
            raise SettingsError(_unknown(variable, name, Settings.model_fields))
        if inner and not self._field_is_complex(field)[0]:
            raise SettingsError(f"{variable}: `{name}` has no parts. Set {ENVIRONMENT_PREFIX}{name.upper()}.")


class _Loader(yaml.SafeLoader):
    """YAML that refuses a key given twice instead of dropping the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.MarkedYAMLError(problem=f"`{key}` is given twice", problem_mark=key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8-sig"), _Loader)  # noqa: S506 (a SafeLoader)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingsError(f"{path}: the file cannot be read: {error.strerror}. Check its permissions.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: expected UTF-8 text. Save the file as UTF-8.") from error
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f":{error.problem_mark.line + 1}"
        raise SettingsError(f"{path}{line}: not valid YAML: {error.problem}. Correct the line.") from error
    except (yaml.YAMLError, TypeError) as error:
        raise SettingsError(f"{path}: not valid YAML: {error}. Correct the file.") from error
    if not isinstance(content, dict | None):
        raise SettingsError(
            f"{path}: expected settings such as `company: Lumen`, got {type(content).__name__}. Correct the file."
        )
    return {str(name): value for name, value in _given(content or {})}


def _given(section: Mapping[Any, Any]) -> Iterator[tuple[Any, Any]]:
    """Yield what is set; a section whose lines are all commented out reads as None."""
    for name, value in section.items():
        if isinstance(value, dict):
            yield name, dict(_given(value))
        elif value is not None:
            yield name, value


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for name, value in above.items():
        both_sections = isinstance(value, dict) and isinstance(below.get(name), dict)
        merged[name] = _merged(below[name], value) if both_sections else value
    return merged


def _sentence(problem: Any, path: Path | None, variables: Collection[str]) -> str:
    """Tell one problem of the settings: where it stands, what was expected and what was found."""
    location = [str(part) for part in problem["loc"]]
    name = ".".join(location)
    longest_first = ("__".join(location[:size]).upper() for size in range(len(location), 0, -1))
    candidates = (ENVIRONMENT_PREFIX + variable for variable in longest_first)
    where = next((variable for variable in candidates if variable in variables), str(path or "settings"))
    if problem["type"] == "extra_forbidden":
        return _unknown(where, name, _known(location))
    expected = problem["msg"].replace("Input should be", "expected").removeprefix("Value error, ")
    return f"{where}: `{name}`: {expected}, got {problem['input']!r}."


def _known(location: list[str]) -> Iterable[str]:
    """Return the settings that exist beside the one at `location`."""
    if len(location) == 1:
        return Settings.model_fields
    return Limits.model_fields if location[0] == "limits" else Intent.model_fields


def _unknown(where: str, name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name.rpartition(".")[2], list(known), n=1)
    hint = f", did you mean `{near[0]}`?" if near else f". Settings here: {', '.join(known)}."
    return f"{where}: unknown setting `{name}`{hint}"
