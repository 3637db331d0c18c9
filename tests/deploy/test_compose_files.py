"""The compose files: by their schema, and by what they say of our commands, settings, ports and secrets."""

from __future__ import annotations

import json
import re
import stat
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from composed import make_secrets, read
from deployed import (
    DEPLOY,
    HEALTH,
    expect_schema,
    expect_settings,
    health_paths,
)

from likeness.gallery.elastic.address import parse
from likeness.gallery.keys import key_of
from told_commands import commands_in, expect_command

FILES = ("compose.yaml", "compose.single.yaml")
EXCEPTIONS = {
    ("elasticsearch", "read_only"): "it writes its keystore beside its configuration",
    ("owners", "user"): "only root gives volumes away",
}


def services(name: str) -> list[Any]:
    return [pytest.param(service, of, id=f"{name}:{service}") for service, of in read(name)["services"].items()]


EVERY = [each for name in FILES for each in services(name)]
OURS = [each for each in EVERY if each.values[1]["image"].startswith("likeness:")]


@pytest.fixture(scope="module")
def secrets(tmp_path_factory) -> Path:
    """What make-secrets.sh makes, once for the tests of this file."""
    folder = tmp_path_factory.mktemp("made") / "secrets"
    make_secrets(folder)
    return folder


@pytest.mark.parametrize("name", FILES)
def test_a_compose_file_follows_the_schema_of_compose_files(name):
    expect_schema("vendor.compose-spec", DEPLOY / name)


@pytest.mark.parametrize("name", FILES)
def test_all_that_a_service_names_is_defined_and_all_that_is_defined_is_used(name):
    whole = read(name)
    used: dict[str, set[str]] = {"networks": set(), "volumes": set(), "secrets": set()}
    for service, of in whole["services"].items():
        for kind in ("networks", "secrets"):
            used[kind] |= set(of.get(kind, ()))
        for volume in of.get("volumes", ()):
            if isinstance(volume, dict):
                assert volume == {"type": "volume", "target": "/tmp"}  # its own, without a name
                continue
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (DEPLOY / source).exists(), f"{service} mounts {source}, which is not there"
            else:
                used["volumes"].add(source)
        for other, how in of.get("depends_on", {}).items():
            awaited = whole["services"][other]
            if how["condition"] == "service_healthy":
                assert not awaited["healthcheck"].get("disable"), f"{service} waits for the health of {other}"
            else:
                assert how["condition"] == "service_completed_successfully"
                assert awaited["restart"] == "no", f"{service} waits for the end of {other}, which starts again"
    for kind, names in used.items():
        assert names == set(whole.get(kind, {})), kind


@pytest.mark.parametrize(("service", "of"), EVERY)
def test_a_service_has_no_more_rights_and_no_more_of_the_machine_than_it_needs(service, of):
    excepted = {what for name, what in EXCEPTIONS if name == service}
    assert "read_only" in excepted or of["read_only"] is True
    assert of["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in of["security_opt"]
    assert "user" in excepted or re.fullmatch(r"[1-9]\d*:\d+", of["user"])
    assert not of.get("privileged")
    assert set(of["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert of.get("network_mode") == "none" or of.get("networks") or service == "likeness"


@pytest.mark.parametrize(("service", "of"), EVERY)
def test_an_image_is_named_by_a_whole_version(service, of):
    image, _, tag = of["image"].rpartition(":")
    assert image == "likeness" or re.search(r"\d+\.\d+\.\d+|\d{4}-\d{2}-\d{2}T", tag), of["image"]


@pytest.mark.parametrize(("service", "of"), EVERY)
def test_a_port_is_published_on_this_machine_alone(service, of):
    for port in of.get("ports", ()):
        assert port.startswith("127.0.0.1:")
        inner = port.rsplit(":", 1)[1]
        if of["image"].startswith("likeness:"):
            assert inner == of["command"][of["command"].index("--port") + 1]


@pytest.mark.parametrize(("service", "of"), OURS)
def test_every_command_of_ours_is_one(service, of):
    if of.get("entrypoint"):
        found = commands_in(of["command"][0])
        assert found or service == "owners"
    else:
        found = [of["command"]]
    for each in found:
        expect_command(each)


@pytest.mark.parametrize(("service", "of"), OURS)
def test_every_variable_of_ours_is_a_setting_with_a_value_that_can_be_one(service, of, secrets):
    environment = of.get("environment", {})
    config = environment.get("LIKENESS_CONFIG")
    if config:
        assert config == "/run/secrets/likeness_settings"
        assert "likeness_settings" in of["secrets"]
    settings = expect_settings(environment, config=str(secrets / "likeness.toml") if config else None)
    if settings.threads:  # as many as the container may use
        assert settings.threads == float(of["deploy"]["resources"]["limits"]["cpus"]) or service in ("watch", "purge")


@pytest.mark.parametrize(("service", "of"), OURS)
def test_health_is_asked_where_it_is_told(service, of):
    check = of.get("healthcheck")
    if check is None or check.get("disable"):
        assert not of.get("ports")
        return
    [path] = health_paths(check["test"])
    [port] = re.findall(r"127\.0\.0\.1:(\d+)", " ".join(check["test"]))
    command = of["command"]
    if command[0] == "worker":
        assert (path, port) == ("/metrics", command[command.index("--metrics-port") + 1])
    else:
        assert path in HEALTH
        assert port == command[command.index("--port") + 1]


def test_the_stores_reach_nobody_outside_and_nobody_outside_reaches_them():
    whole = read("compose.yaml")
    assert whole["networks"]["stores"] == {"internal": True}
    for name in ("postgres", "redis", "minio", "elasticsearch"):
        of = whole["services"][name]
        assert of["networks"] == ["stores"]
        assert "ports" not in of


def test_secrets_are_made_at_random_kept_and_nobody_elses(secrets, tmp_path):
    wanted = {Path(each["file"]).name for each in read("compose.yaml")["secrets"].values()}
    made = {path.name: path.read_text("utf-8") for path in secrets.iterdir()}
    assert wanted <= set(made)
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    edited = {"bot_token", "likeness.toml"}
    for path in secrets.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == (0o644 if path.name in edited else 0o444), path.name
    assert not re.search("^made ", make_secrets(secrets), re.MULTILINE)
    assert {path.name: path.read_text("utf-8") for path in secrets.iterdir()} == made
    other = tmp_path / "secrets"
    make_secrets(other, "--elastic")
    random = {name for name, text in made.items() if re.fullmatch(r"[A-Za-z0-9]{32}", text)}
    assert len(random) == 7
    assert all((other / name).read_text("utf-8") != made[name] for name in random)
    elastic = parse(expect_settings({}, config=str(other / "likeness.toml")).gallery, {})
    assert elastic.nodes == ("http://elasticsearch:9200",)
    assert elastic.login == ("elastic", (other / "elastic_password").read_text("utf-8"))


def test_asking_for_another_engine_than_the_kept_settings_name_is_refused_and_changes_nothing(tmp_path):
    folder = tmp_path / "secrets"
    make_secrets(folder)
    before = (folder / "likeness.toml").read_text("utf-8")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        make_secrets(folder, "--elastic")
    assert refused.value.returncode == 1
    assert "names another engine" in refused.value.stderr
    assert (folder / "likeness.toml").read_text("utf-8") == before
    other = tmp_path / "elastic"
    make_secrets(other, "--elastic")
    make_secrets(other, "--elastic")


@pytest.mark.parametrize(("service", "of"), OURS)
def test_uploads_lie_on_the_disk_and_those_who_share_the_data_have_one_name(service, of):
    if service == "owners":
        return
    assert {"type": "volume", "target": "/tmp"} in of["volumes"]
    assert not of.get("tmpfs")
    assert of["hostname"] == "likeness"


def test_the_key_of_an_encrypted_gallery_comes_from_the_environment_of_one_container():
    text = (DEPLOY / "compose.single.yaml").read_text("utf-8")
    assert yaml.safe_load(text)["services"]["likeness"]["environment"]["LIKENESS_GALLERY_KEY"] == (
        "${LIKENESS_GALLERY_KEY:-}"
    )
    assert key_of(expect_settings({"LIKENESS_GALLERY_KEY": ""})) is None
    given = key_of(expect_settings({"LIKENESS_GALLERY_KEY": "5a" * 32}))
    assert given is not None
    assert given.secret == b"Z" * 32


def test_no_password_stands_in_a_compose_file():
    for name in FILES:
        for service, of in read(name)["services"].items():
            for variable, value in of.get("environment", {}).items():
                if re.search("PASSWORD|SECRET|TOKEN|KEY", variable):
                    assert variable.endswith("_FILE") or not value, f"{service}: {variable}={value}"


def test_the_settings_name_services_that_are_there_with_the_passwords_that_those_have(secrets):
    whole = read("compose.yaml")["services"]
    settings = expect_settings({}, config=str(secrets / "likeness.toml"))

    def secret(name: str) -> str:
        return (secrets / name).read_text("utf-8")

    for address, host, password in (
        (settings.gallery, "postgres", "postgres_likeness"),
        (settings.records, "postgres", "postgres_likeness"),
        (settings.queue, "redis", "redis_password"),
    ):
        assert urlsplit(address).hostname == host
        assert host in whole
        assert urlsplit(address).password == secret(password)
    assert f"requirepass {secret('redis_password')}\n" in secret("redis.conf")
    assert f"aws_secret_access_key = {secret('minio_likeness')}\n" in secret("likeness_s3")
    assert len(settings.webhook_secret.get_secret_value()) == 32
    for variable in ("LIKENESS_SPOOL", "LIKENESS_STORAGE"):
        bucket = urlsplit(whole["worker"]["environment"][variable]).netloc
        assert bucket in (DEPLOY / "minio" / "buckets.sh").read_text("utf-8")


def test_the_policy_of_buckets_lets_us_read_photos_and_write_only_our_own():
    rules = json.loads((DEPLOY / "minio" / "likeness-policy.json").read_text("utf-8"))["Statement"]
    may: dict[str, set[str]] = {}
    for rule in rules:
        assert rule["Effect"] == "Allow"
        for place in rule["Resource"]:
            may.setdefault(place.removeprefix("arn:aws:s3:::"), set()).update(rule["Action"])
    assert may["photos/*"] == {"s3:GetObject"}
    assert may["spool/*"] == may["faces/*"] == {"s3:GetObject", "s3:PutObject", "s3:DeleteObject"}
    assert all(may[bucket] == {"s3:ListBucket", "s3:GetBucketLocation"} for bucket in ("photos", "spool", "faces"))
    assert len(may) == 6
