"""The chart as Helm's own engine renders it, and its objects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from deployed import DEPLOY

from needed import missing

CHART = DEPLOY / "helm" / "likeness"
VALUES = {path.name.removesuffix("-values.yaml"): path for path in sorted((CHART / "ci").glob("*-values.yaml"))}
NAMESPACE = "faces"


def engine() -> Any:
    """Helm's engine as a library."""
    try:
        import helm_python
    except ImportError:
        missing("helm-python-sdk is missing")
    return helm_python


def values_of(name: str) -> dict[str, Any]:
    return yaml.safe_load(VALUES[name].read_text("utf-8"))


def rendered(values: dict[str, Any]) -> dict[str, str]:
    """Text by template."""
    with engine().Chart.load(str(CHART)) as chart:
        return chart.render(values, name="likeness", namespace=NAMESPACE)


def objects(values: dict[str, Any]) -> list[dict[str, Any]]:
    """All that would be made, tests included."""
    texts = (text for name, text in rendered(values).items() if Path(name).suffix == ".yaml")
    return [each for text in texts for each in yaml.safe_load_all(text) if each]


def of_kind(made: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    """Those of one kind, by name."""
    return {each["metadata"]["name"]: each for each in made if each["kind"] == kind}


def pod_specs(made: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Name, metadata and spec of every pod that would run."""
    for each in made:
        name = f"{each['kind']}/{each['metadata']['name']}"
        if each["kind"] == "Deployment":
            yield name, each["spec"]["template"]["metadata"], each["spec"]["template"]["spec"]
        elif each["kind"] == "CronJob":
            template = each["spec"]["jobTemplate"]["spec"]["template"]
            yield name, template["metadata"], template["spec"]
        elif each["kind"] == "Pod":
            yield name, each["metadata"], each["spec"]
