"""The Helm chart: linted and rendered by Helm's own engine, held against Kubernetes' schemas and against our code."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import kubernetes_validate
import pytest
import yaml
from deployed import HEALTH, ROOT, expect_settings
from rendered_chart import CHART, NAMESPACE, VALUES, engine, objects, of_kind, pod_specs, values_of

import likeness
from told_commands import expect_command

# Their schemas come with operators of their own and are not among Kubernetes'.
FOREIGN = {"ServiceMonitor", "PodMonitor", "ScaledObject"}
MODES = pytest.mark.parametrize("name", VALUES)


@pytest.fixture(scope="module")
def made() -> dict[str, list[dict[str, Any]]]:
    """The objects of each file of values."""
    return {name: objects(values_of(name)) for name in VALUES}


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector takes these labels, as Kubernetes decides it."""
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for rule in selector.get("matchExpressions", ()):
        found = labels.get(rule["key"]) in rule["values"]
        if found != (rule["operator"] == "In"):
            return False
    return True


@MODES
def test_helm_lints_it_without_a_warning(name):
    report = engine().lint(str(CHART), values_of(name), strict=True, namespace=NAMESPACE)
    assert report["errors"] == []
    # 1 is information: that an icon is recommended.
    assert all(each["severity"] <= 1 for each in report["messages"]), report


@MODES
def test_the_program_helm_agrees_where_it_is_installed(name):
    helm = shutil.which("helm")
    if helm is None:
        pytest.skip("helm is not installed; its engine was asked as a library")
    subprocess.run([helm, "lint", "--strict", "--values", str(VALUES[name]), str(CHART)], check=True)
    command = [helm, "template", "likeness", str(CHART), "--namespace", NAMESPACE, "--values", str(VALUES[name])]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    key = lambda each: (each["kind"], each["metadata"]["name"])  # noqa: E731
    assert sorted(filter(None, yaml.safe_load_all(text)), key=key) == sorted(objects(values_of(name)), key=key)


@MODES
@pytest.mark.parametrize("kubernetes", ["1.27", "1.33", "1.37"])
def test_what_it_makes_follows_the_schemas_of_kubernetes(name, kubernetes, made):
    seen = set()
    for each in made[name]:
        if each["kind"] in FOREIGN:
            continue
        kubernetes_validate.validate(each, kubernetes, strict=True)
        seen.add(each["kind"])
    assert {"Deployment", "Service", "CronJob", "NetworkPolicy", "ServiceAccount"} <= seen


def test_everything_together_makes_every_kind_of_object(made):
    assert {each["kind"] for each in made["everything"]} == {
        "Deployment", "Service", "CronJob", "NetworkPolicy", "ServiceAccount", "Secret", "Ingress", "Pod",
        "HorizontalPodAutoscaler", "PodDisruptionBudget", "PersistentVolumeClaim", *FOREIGN,
    }  # fmt: skip


@MODES
def test_names_are_of_one_object_each_and_short_enough(name, made):
    keys = [(each["kind"], each["metadata"]["name"]) for each in made[name]]
    assert len(set(keys)) == len(keys)
    assert all(len(own) <= 52 for _, own in keys)  # a CronJob's, to which Jobs add eleven letters


@MODES
def test_every_pod_runs_as_nobody_with_a_read_only_root_and_limits(name, made):
    for pod, _, spec in pod_specs(made[name]):
        assert spec["automountServiceAccountToken"] is False, pod
        assert spec["enableServiceLinks"] is False, f"{pod}: a Service likeness would make LIKENESS_ variables"
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, pod
            assert {"cpu", "memory"} <= set(container["resources"]["limits"]), pod
            assert not container["image"].endswith(":latest")


@MODES
def test_every_volume_claim_and_secret_that_a_pod_mounts_is_there(name, made):
    values = values_of(name)
    claims = set(of_kind(made[name], "PersistentVolumeClaim")) | {values.get("models", {}).get("claim")}
    named = {values["keys"]["secret"], values.get("secrets", {}).get("existing"), values.get("bot", {}).get("secret")}
    secrets = set(of_kind(made[name], "Secret")) | named | {values.get("galleryKey", {}).get("secret")}
    accounts = set(of_kind(made[name], "ServiceAccount"))
    for pod, _, spec in pod_specs(made[name]):
        assert spec["serviceAccountName"] in accounts
        volumes = {volume["name"]: volume for volume in spec.get("volumes", ())}
        for volume in volumes.values():
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in claims, pod
            if "secret" in volume:
                assert volume["secret"]["secretName"] in secrets, pod
        for container in spec["containers"]:
            mounts = container.get("volumeMounts", ())
            assert {mount["name"] for mount in mounts} <= set(volumes), pod
            for source in container.get("envFrom", ()):
                assert source["secretRef"]["name"] in secrets, pod


@MODES
def test_every_command_is_one_of_ours_and_every_variable_a_setting(name, made):
    created = values_of(name).get("secrets", {}).get("create", {})
    for pod, _, spec in pod_specs(made[name]):
        for container in spec["containers"]:
            if "command" not in container:
                expect_command([str(word) for word in container["args"]])
            variables = [each["name"] for each in container.get("env", ())]
            assert len(set(variables)) == len(variables), pod
            # How many processors there are comes from the cluster.
            given = {each["name"]: each.get("value", "2") for each in container.get("env", ())}
            sources = {each["secretRef"]["name"] for each in container.get("envFrom", ())}
            expect_settings(given | (created if "likeness" in sources else {}))


@MODES
def test_selectors_reach_their_pods_and_only_those(name, made):
    pods = [(pod, metadata["labels"], spec) for pod, metadata, spec in pod_specs(made[name])]
    for own, deployment in of_kind(made[name], "Deployment").items():
        reached = [pod for pod, labels, _ in pods if matches(deployment["spec"]["selector"], labels)]
        assert reached == [f"Deployment/{own}"]
    for own, service in of_kind(made[name], "Service").items():
        reached = [
            (pod, spec) for pod, labels, spec in pods if matches({"matchLabels": service["spec"]["selector"]}, labels)
        ]
        assert [pod for pod, _ in reached] == [f"Deployment/{own}"]
        named = {port["name"] for _, spec in reached for each in spec["containers"] for port in each["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= named
    deployments = of_kind(made[name], "Deployment")
    for kind in ("HorizontalPodAutoscaler", "ScaledObject"):
        for each in of_kind(made[name], kind).values():
            target = deployments[each["spec"]["scaleTargetRef"]["name"]]
            assert "replicas" not in target["spec"], "two would set it"
    for ingress in of_kind(made[name], "Ingress").values():
        for path in ingress["spec"]["rules"][0]["http"]["paths"]:
            assert path["backend"]["service"]["name"] in of_kind(made[name], "Service")


@MODES
def test_probes_ask_what_is_answered(name, made):
    for pod, _, spec in pod_specs(made[name]):
        for container in spec["containers"]:
            ports = {port["name"]: port["containerPort"] for port in container.get("ports", ())}
            for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
                probe = container.get(kind, {})
                if "httpGet" in probe:
                    assert probe["httpGet"]["path"] in HEALTH, pod
                    assert probe["httpGet"]["port"] in ports
                if "tcpSocket" in probe:
                    assert probe["tcpSocket"]["port"] in ports
            for flag, port in (("--port", "http"), ("--metrics-port", "metrics")):
                if flag in container.get("args", ()):
                    assert container["args"][container["args"].index(flag) + 1] == str(ports[port])


@MODES
def test_nobody_is_let_in_or_out_but_by_a_policy_that_says_so(name, made):
    policies = of_kind(made[name], "NetworkPolicy")
    nothing = policies.pop("likeness-nothing")["spec"]
    assert nothing["policyTypes"] == ["Ingress", "Egress"]
    assert not {"ingress", "egress"} & set(nothing)
    for pod, metadata, _ in pod_specs(made[name]):
        labels = metadata["labels"]
        assert matches(nothing["podSelector"], labels), f"{pod} is under no policy"
        mine = [own for own, policy in policies.items() if matches(policy["spec"]["podSelector"], labels)]
        part = labels["app.kubernetes.io/component"]
        assert "likeness-names" in mine
        assert ("likeness-server" in mine) == (part in ("api", "web"))
        assert ("likeness-asks-the-api" in mine) == (part in ("bot", "test"))
        assert ("likeness-figures" in mine) == part.startswith("worker-")
        cluster = values_of(name).get("mode") == "cluster"
        assert ("likeness-stores" in mine) == (cluster and part not in ("bot", "test"))
        assert ("likeness-extra" in mine) == (name == "everything" and part not in ("bot", "test"))
        assert ("likeness-outside" in mine) == (cluster and part != "test")
    for policy in policies.values():
        for rule in policy["spec"].get("ingress", ()):
            assert rule["from"], "an empty list lets everybody in"


def test_every_step_of_the_pipeline_has_workers_that_scale_with_its_queue(made):
    from likeness.intake import STEPS

    workers = [
        container["args"][container["args"].index("--steps") + 1].split(",")
        for _, metadata, spec in pod_specs(made["everything"])
        if metadata["labels"]["app.kubernetes.io/component"].startswith("worker-")
        for container in spec["containers"]
    ]
    assert sorted(step for steps in workers for step in steps) == sorted(STEPS)
    scaled = of_kind(made["everything"], "ScaledObject")
    queries = [trigger["metadata"]["query"] for each in scaled.values() for trigger in each["spec"]["triggers"]]
    assert all(any(f'queue="{step}"' in query for query in queries) for step in STEPS)
    assert scaled["likeness-worker-detect"]["spec"]["maxReplicaCount"] == 20
    assert scaled["likeness-worker-identify"]["spec"]["maxReplicaCount"] == 10
    assert scaled["likeness-worker-detect"]["spec"]["triggers"][0]["metadata"]["threshold"] == "20"


def test_one_pod_keeps_its_gallery_and_the_purge_runs_beside_it(made):
    deployment = of_kind(made["single"], "Deployment")["likeness-api"]["spec"]
    assert deployment["replicas"] == 1
    assert deployment["strategy"] == {"type": "Recreate"}
    assert "--ui" in deployment["template"]["spec"]["containers"][0]["args"]
    claim = of_kind(made["single"], "PersistentVolumeClaim")["likeness-data"]
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    purge = of_kind(made["single"], "CronJob")["likeness-purge"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    [near] = purge["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert matches(near["labelSelector"], deployment["template"]["metadata"]["labels"])
    assert purge["volumes"][0] == deployment["template"]["spec"]["volumes"][0]


def test_the_bot_holds_no_credentials_of_stores(made):
    spec = of_kind(made["everything"], "Deployment")["likeness-bot"]["spec"]["template"]["spec"]
    assert [each["secretRef"]["name"] for each in spec["containers"][0]["envFrom"]] == ["likeness-bot"]
    assert not any("secret" in volume for volume in spec["volumes"])
    [address] = [each["value"] for each in spec["containers"][0]["env"] if each["name"] == "LIKENESS_BOT_API"]
    assert address == "http://likeness-api:80"


def test_it_is_the_chart_of_this_version():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    assert chart["appVersion"] == likeness.__version__


def test_its_page_lists_the_values_as_they_are():
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "chart_values.py"), "--check"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
