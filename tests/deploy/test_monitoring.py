"""What Prometheus is asked for, by the dashboard, the alerts and KEDA, is what servers and workers really say."""

from __future__ import annotations

import json
import re
import socket
import urllib.request
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest
import yaml
from deployed import DEPLOY
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from rendered_chart import objects, values_of

from likeness.settings import Settings

DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboards" / "likeness.json").read_text("utf-8"))
ALERTS = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text("utf-8"))
PROMETHEUS = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text("utf-8"))
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
BY_PROMETHEUS = {"job", "instance", "namespace", "le"}
"""Labels that Prometheus adds, and a histogram's own."""


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def asked() -> list[tuple[str, str]]:
    """Who asks, and what: every question in PromQL."""
    found = [
        (f"panel {panel['title']}", target["expr"].replace("$__rate_interval", "5m"))
        for panel in panels()
        for target in panel["targets"]
    ]
    found += [(rule["alert"], rule["expr"]) for group in ALERTS["groups"] for rule in group["rules"]]
    scaled = [each for each in objects(values_of("everything")) if each["kind"] == "ScaledObject"]
    found += [
        (each["metadata"]["name"], trigger["metadata"]["query"])
        for each in scaled
        for trigger in each["spec"]["triggers"]
    ]
    return found


def selectors(question: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Each metric of a question with its labels; it is parsed whole first."""
    promql_parser.parse(question)
    for name, labels in re.findall(r"\b([a-z]\w*_\w+|up)\b(?:\{([^}]*)\})?(?![\w(])", question):
        if name.startswith(("likeness_", "up")):
            yield name, dict(re.findall(r'(\w+)\s*=~?\s*"([^"]*)"', labels))


def grouped(question: str) -> set[str]:
    return {label.strip() for group in re.findall(r"by \(([^)]*)\)", question) for label in group.split(",")}


@pytest.fixture(scope="module")
def said(tmp_path_factory) -> dict[str, set[str]]:
    """Every sample that a server and a worker say, by name, with the labels that it may have."""
    from likeness.intake.metrics import serve_metrics
    from likeness.server.metrics import Metrics

    folder = tmp_path_factory.mktemp("said")
    settings = Settings(queue=str(folder / "queue.db"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    note = serve_metrics("127.0.0.1", port, settings)
    note("detect", "done", 3, 0.5)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        worker = answer.read().decode()

    metrics = Metrics()
    for value in vars(metrics).values():
        if not isinstance(value, CollectorRegistry) and getattr(value, "_labelnames", ()):
            value.labels(*("x" for _ in value._labelnames))
    with metrics.stage("look"):
        pass
    found: dict[str, set[str]] = {}
    for text in (worker, metrics.text().decode()):
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_what_is_asked_for_is_said_with_those_labels(said):
    for who, question in asked():
        named = list(selectors(question))
        assert named, f"{who} asks for nothing of ours"
        known = set(BY_PROMETHEUS)
        for name, labels in named:
            if name != "up":
                assert name in said, f"{who} asks for {name}"
                known |= said[name]
                assert set(labels) <= said[name] | BY_PROMETHEUS, f"{who} asks for labels of {name}"
        assert grouped(question) <= known, who


def test_labels_that_are_asked_for_by_value_have_such_values():
    """States of queues, routes and reasons, as the code spells them."""
    from likeness import errors
    from likeness.intake import STEPS
    from likeness.server.app import NATIVE

    values = {
        "state": {"ready", "waiting", "leased", "dead"},
        "queue": set(STEPS),
        "route": {route.path for router in NATIVE for route in router.routes},
        "why": {kind.code for kind in vars(errors).values() if isinstance(kind, type)},
    }
    for who, question in asked():
        for _, labels in selectors(question):
            for label, value in labels.items():
                if label in values:
                    assert set(value.split("|")) <= values[label], f"{who}: {label}={value}"


def test_the_board_shows_all_that_is_said(said):
    end = re.compile(r"_(total|bucket|sum|count|created)$")
    shown = {name for who, question in asked() if who.startswith("panel") for name, _ in selectors(question)}
    families = {end.sub("", name) for name in said if name.startswith("likeness_")}
    assert len(families) > 8
    assert families <= {end.sub("", name) for name in shown}


def test_panels_have_a_place_and_a_number_of_their_own():
    every = DASHBOARD["panels"]
    assert len({panel["id"] for panel in every}) == len(every)
    taken: set[tuple[int, int]] = set()
    for panel in every:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, f"{panel['title']} lies over another"
        taken |= cells


def test_the_board_finds_the_data_source_that_is_set_up():
    folder = DEPLOY / "grafana" / "provisioning"
    [source] = yaml.safe_load((folder / "datasources" / "prometheus.yaml").read_text("utf-8"))["datasources"]
    [variable] = DASHBOARD["templating"]["list"]
    assert (variable["type"], variable["query"]) == ("datasource", source["type"])
    assert variable["current"]["value"] == source["uid"]
    assert all(panel["datasource"]["uid"] == f"${{{variable['name']}}}" for panel in panels())
    [provider] = yaml.safe_load((folder / "dashboards" / "likeness.yaml").read_text("utf-8"))["providers"]
    grafana = COMPOSE["services"]["grafana"]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in grafana["volumes"]
    assert grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"].startswith(provider["options"]["path"])


def test_prometheus_looks_for_services_where_they_answer_with_the_key_that_is_made():
    for job in PROMETHEUS["scrape_configs"]:
        [place] = job["dns_sd_configs"]
        for name in place["names"]:
            service = COMPOSE["services"][name]
            assert "watching" in service["networks"]
            command = service["command"]
            flag = "--metrics-port" if command[0] == "worker" else "--port"
            assert command[command.index(flag) + 1] == str(place["port"])
            # The server's figures want a key, a worker's do not.
            assert ("authorization" in job) == (command[0] == "serve")
    own = COMPOSE["services"]["prometheus"]["volumes"]
    assert "prometheus-key:/keys/prometheus:ro" in own
    assert PROMETHEUS["scrape_configs"][0]["authorization"]["credentials_file"] == "/keys/prometheus/key"
    assert PROMETHEUS["rule_files"] == ["alerts.yml"]


def test_a_service_that_is_gone_altogether_is_told_of_too():
    """Names that do not resolve leave no `up` behind that could be 0."""
    [away] = [rule["expr"] for group in ALERTS["groups"] for rule in group["rules"] if rule["alert"] == "LikenessAway"]
    gone = set(re.findall(r'absent\(up\{job="([^"]+)"\}\)', away))
    assert gone == {job["job_name"] for job in PROMETHEUS["scrape_configs"]}


def test_an_alert_says_how_bad_it_is_and_what_to_look_at():
    for group in ALERTS["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("page", "ticket")
            assert rule["annotations"]["summary"]
            assert re.fullmatch(r"\d+m", rule["for"])
