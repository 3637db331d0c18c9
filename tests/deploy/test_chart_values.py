"""The chart's values: what is refused in words or by the schema, and what the others come to in the pods."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from typing import Any

import pytest
from deployed import expect_settings
from rendered_chart import CHART, VALUES, engine, objects, of_kind, pod_specs, rendered, values_of

from likeness.gallery.keys import make_key


@pytest.fixture(scope="module")
def made() -> dict[str, list[dict[str, Any]]]:
    """The objects of each file of values."""
    return {name: objects(values_of(name)) for name in VALUES}


CLUSTER = {"mode": "cluster", "secrets": {"existing": "s"}}
SERVERS = dict.fromkeys(("LIKENESS_GALLERY", "LIKENESS_QUEUE", "LIKENESS_RECORDS"), "any://server")
SHARED = {
    "mode": "cluster",
    "secrets": {"create": SERVERS},
    "settings": {"spool": "s3://spool"},
    "workers": {"enabled": True},
}
REFUSED = [
    ({}, "keys.secret", "no key"),
    ({"mode": "cluster"}, "LIKENESS_GALLERY", "a cluster without a server's gallery"),
    ({"mode": "cluster", "secrets": {"create": {"A": "b"}}}, "lacks LIKENESS_GALLERY", "a secret without it"),
    ({"workers": {"enabled": True}}, "workers wants mode cluster", "workers beside a file"),
    ({"api": {"autoscaling": {"enabled": True}}}, "api.autoscaling wants mode cluster", "many pods, one file"),
    ({"mode": "cluster", "secrets": {"existing": "s", "create": {"LIKENESS_GALLERY": "g"}}}, "exclude", "both"),
    ({"bot": {"enabled": True}}, "bot.secret", "a bot without a token"),
    ({"ingress": {"enabled": True}}, "ingress.host", "an ingress for nobody"),
    (CLUSTER | {"watch": {"enabled": True}}, "watch.place", "nothing to watch"),
    (
        CLUSTER | {"schedules": {"refresh": {"enabled": True}}},
        "models.claim",
        "a refresh without a place",
    ),
    ({"monitoring": {"enabled": True}}, "keySecret", "figures without a key"),
    (
        {
            "mode": "cluster",
            "secrets": {"existing": "s"},
            "workers": {"enabled": True, "autoscaling": {"enabled": True}},
        },
        "monitoring.enabled",
        "scaling by figures that nobody reads",
    ),
    (CLUSTER | {"workers": {"enabled": True}}, "settings.spool", "workers without a spool"),
    (SHARED | {"settings": {"spool": "/data/spool"}}, "settings.spool", "a spool in a folder"),
    (SHARED | {"settings": {"spool": "file:///data/spool"}}, "settings.spool", "a spool in a folder by its address"),
    (SHARED | {"secrets": {"create": {"LIKENESS_GALLERY": "g"}}}, "LIKENESS_(QUEUE|RECORDS)", "workers of their own"),
    (SHARED | {"secrets": {"create": {**SERVERS, "LIKENESS_QUEUE": ""}}}, "LIKENESS_QUEUE", "a queue in a file"),
    (
        SHARED | {"secrets": {"create": {**SERVERS, "LIKENESS_RECORDS": "r.db"}}},
        "LIKENESS_RECORDS",
        "records in a file",
    ),
    (
        CLUSTER | {"watch": {"enabled": True, "place": "s3://photos/inbox"}},
        "settings.spool",
        "a watch that nobody hears",
    ),
    (
        {"galleryKey": {"secret": "k"}, "secrets": {"create": {"LIKENESS_GALLERY_KEY": "x"}}},
        "which key is used",
        "two keys of the gallery",
    ),
]


@pytest.mark.parametrize(("values", "words", "why"), REFUSED, ids=[why for *_, why in REFUSED])
def test_what_cannot_work_is_refused_in_words(values, words, why):
    given = values if why == "no key" else {"keys": {"secret": "k"}} | values
    with pytest.raises(Exception, match=words):
        rendered(given)


@pytest.mark.parametrize(
    "part",
    [{"workers": {"enabled": True}}, {"watch": {"enabled": True, "place": "s3://p/in"}}],
    ids=["workers", "watch"],
)
@pytest.mark.parametrize("secrets", [{"existing": "s"}, {"create": SERVERS}], ids=["existing", "create"])
def test_parts_that_share_their_servers_and_a_bucket_are_made(part, secrets):
    values = {"keys": {"secret": "k"}, "mode": "cluster", "settings": {"spool": "s3://spool"}, "secrets": secrets}
    wanted = {"workers": "likeness-worker-detect", "watch": "likeness-watch"}[next(iter(part))]
    assert wanted in of_kind(objects(values | part), "Deployment")


UNKNOWN = [
    {"replicas": 3},
    {"api": {"replica": 3}},
    {"mode": "many"},
    {"settings": {"keys": "x"}},
    {"settings": {"webhook_secret": "x"}},
    {"settings": {"gallery_key_file": "/somewhere"}},
    {"settings": {"webhook_hosts": ["a,b"]}},
    {"s3": {"endpoint": "minio:9000"}},
    {"networkPolicy": {"extraEgress": [{"ports": [{"port": 1}]}]}},
    {"workers": {"groups": {"all": {"steps": ["look"]}}}},
    {"tmpSize": "much"},
]


@pytest.mark.parametrize("values", UNKNOWN, ids=[json.dumps(values) for values in UNKNOWN])
def test_a_value_that_is_none_is_refused_by_the_schema(values):
    base = {"keys": {"secret": "k"}}
    with engine().Chart.load(str(CHART)) as chart:
        chart.validate_schema(chart.merge_values(copy.deepcopy(base)))
        with pytest.raises(Exception, match="likeness:\\n- at "):
            chart.validate_schema(chart.merge_values(base | values))


def test_large_numbers_among_settings_stay_whole():
    made = objects({"keys": {"secret": "k"}, "settings": {"serve_body_bytes": 134217728, "fpir": 0.005, "prior": 0.5}})
    [container] = of_kind(made, "Deployment")["likeness-api"]["spec"]["template"]["spec"]["containers"]
    given = {each["name"]: each["value"] for each in container["env"] if "value" in each}
    assert (given["LIKENESS_SERVE_BODY_BYTES"], given["LIKENESS_FPIR"]) == ("134217728", "0.005")


def environment_of(made: list[dict[str, Any]], deployment: str) -> dict[str, str]:
    [container] = of_kind(made, "Deployment")[deployment]["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each["value"] for each in container["env"] if "value" in each}


def test_a_list_among_settings_is_read_as_that_list(made):
    given = environment_of(made["everything"], "likeness-api")
    assert given["LIKENESS_WEBHOOK_HOSTS"] == "hooks.example.org,ears.example.org"
    assert list(expect_settings(given).webhook_hosts) == ["hooks.example.org", "ears.example.org"]


@pytest.mark.parametrize("name", ["single", "everything"])
def test_the_key_of_an_encrypted_gallery_is_mounted_for_all_who_open_it(name):
    values = values_of(name) | {"galleryKey": {"secret": "likeness-gallery-key", "key": "owner.key"}}
    opened = {"api", "purge"} if name == "single" else {"api", "web", "worker-detect", "watch", "purge", "refresh"}
    seen = set()
    for pod, metadata, spec in pod_specs(objects(values)):
        part = metadata["labels"]["app.kubernetes.io/component"]
        volumes = {volume["name"]: volume for volume in spec.get("volumes", ())}
        [container] = spec["containers"]
        given = {each["name"]: each.get("value") for each in container.get("env", ())}
        if part in ("bot", "test"):
            assert "gallery-key" not in volumes, pod
            continue
        assert volumes["gallery-key"]["secret"] == {
            "secretName": "likeness-gallery-key",
            "defaultMode": 0o440,
            "items": [{"key": "owner.key", "path": "owner.key"}],
        }
        assert {"name": "gallery-key", "mountPath": "/gallery-key", "readOnly": True} in container["volumeMounts"], pod
        assert given["LIKENESS_GALLERY_KEY_FILE"] == "/gallery-key/owner.key"
        assert spec["securityContext"]["fsGroup"] == spec["securityContext"]["runAsGroup"]
        seen.add(part)
    assert opened <= seen


def test_a_key_that_is_roots_and_the_groups_of_a_pod_is_taken_by_its_account(tmp_path):
    """As Kubernetes mounts a Secret: of root, of the pod's group, 0440 by way of a link; one for all is refused."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root gives files away")
    make_key(tmp_path / "made")
    (tmp_path / "gallery.key").symlink_to("made")
    tmp_path.chmod(0o755)
    os.chown(tmp_path / "made", 0, 10001)
    script = (
        "import os, sys; from pathlib import Path; from likeness.gallery.keys import read_key\n"
        "folder = os.open(sys.argv[1], os.O_RDONLY); os.fchdir(folder)\n"
        "os.setgroups([]); os.setgid(10001); os.setuid(10001)\n"
        "print(read_key(Path('gallery.key')).fingerprint)"
    )
    for mode, taken in ((0o440, True), (0o444, False)):
        (tmp_path / "made").chmod(mode)
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False
        )
        assert (done.returncode == 0) == taken, done.stderr
        assert taken or "may be read or changed by others" in done.stderr


def test_another_s3_and_who_looks_names_up_are_values(made):
    assert environment_of(made["everything"], "likeness-api")["AWS_ENDPOINT_URL_S3"] == "http://minio.stores:9000"
    assert "AWS_ENDPOINT_URL_S3" not in environment_of(made["cluster"], "likeness-api")
    policies = of_kind(made["everything"], "NetworkPolicy")
    [names] = policies["likeness-names"]["spec"]["egress"]
    assert {"ipBlock": {"cidr": "169.254.20.10/32"}} in names["to"]
    assert {(port["protocol"], port["port"]) for port in names["ports"]} == {
        (protocol, port) for protocol in ("UDP", "TCP") for port in (53, 5353)
    }
    [extra] = policies["likeness-extra"]["spec"]["egress"]
    assert extra["ports"] == [{"protocol": "TCP", "port": 3128}]
    [stores] = of_kind(made["cluster"], "NetworkPolicy")["likeness-stores"]["spec"]["egress"]
    assert 9000 in {port["port"] for port in stores["ports"]}
