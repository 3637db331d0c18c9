"""What the tests of the deployment share: variables held against our settings, files against their schemas."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from likeness.settings import NOT_SETTINGS, PREFIX, Settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
HEALTH = {"/v1/health", "/v1/ready"}


def expect_settings(environment: Mapping[str, Any], *, config: str | None = None) -> Settings:
    """Fail unless every LIKENESS_ variable is a setting, and its value can be one; the settings that follow."""
    ours = {name: str(value) for name, value in environment.items() if name.startswith(PREFIX)}
    for name in ours:
        known = name in NOT_SETTINGS or name.removeprefix(PREFIX).lower() in Settings.model_fields
        assert known, f"{name} is no setting"
    return Settings.load(environment={n: v for n, v in ours.items() if n not in NOT_SETTINGS}, config=config)


def expect_schema(schema: str, *paths: Path) -> None:
    """Fail unless the files follow one of the schemas that check-jsonschema brings."""
    from check_jsonschema.cli import main
    from click.testing import CliRunner

    done = CliRunner().invoke(main, ["--builtin-schema", schema, *map(str, paths)])
    assert done.exit_code == 0, done.output


def interpolated(value: Any) -> Any:
    """A value of a compose file with the defaults of its variables, as compose fills them in where nothing is set."""
    if isinstance(value, str):
        return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value).replace("$$", "$")
    if isinstance(value, dict):
        return {key: interpolated(each) for key, each in value.items()}
    return [interpolated(each) for each in value] if isinstance(value, list) else value


def health_paths(texts: Iterable[str]) -> set[str]:
    """The paths of HTTP addresses in these texts."""
    return {path for text in texts for path in re.findall(r"https?://[^/\s'\"]+(/[^\s'\"]*)", text)}
