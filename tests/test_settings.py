"""Settings: defaults < file < environment < flags, each with its origin."""

from __future__ import annotations

from pathlib import Path

import pytest

from likeness.errors import SettingsError
from likeness.settings import Settings


@pytest.fixture
def config(tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "config.toml"
    path.write_text('fpir = 0.05\nthreads = 1\ngallery = "from-file"\n')
    return {"LIKENESS_CONFIG": str(path)}


def test_later_layers_win_and_each_value_knows_where_it_came_from(config: dict[str, str]) -> None:
    environment = config | {"LIKENESS_THREADS": "2", "LIKENESS_PRIOR": "0.25"}
    settings = Settings.load({"prior": 0.1, "fmr": None}, environment)
    assert (settings.fpir, settings.threads, settings.prior) == (0.05, 2, 0.1)
    assert settings.origin("fpir") == config["LIKENESS_CONFIG"]
    assert settings.origin("threads") == "LIKENESS_THREADS"
    assert settings.origin("prior") == "flag"
    assert settings.origin("embedder") == "default"


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        ({"LIKENESS_THREADS": "many"}, "LIKENESS_THREADS, 'many'"),
        ({"LIKENESS_FPIR": "1.5"}, "less than 1"),
        ({"LIKENESS_COLOUR": "red"}, "known settings"),
        ({"LIKENESS_CONFIG": "/nowhere/at/all.toml"}, "does not exist"),
    ],
)
def test_a_bad_setting_says_where_it_came_from(environment: dict[str, str], text: str) -> None:
    with pytest.raises(SettingsError, match=text):
        Settings.load({}, environment)


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("fpir = = 1")
    with pytest.raises(SettingsError, match="cannot be read"):
        Settings.load({}, {"LIKENESS_CONFIG": str(path)})


def test_settings_do_not_change(config: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings.load({}, config).threads = 7  # type: ignore[misc]


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Settings.model_fields.values())
