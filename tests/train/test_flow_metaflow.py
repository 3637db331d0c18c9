"""The flows as Metaflow runs them here, and as they are deployed to a cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from flow_world import CHANGES, Place

from likeness.flows.home import Home
from likeness.flows.refresh import PARTS
from s3_server import CREDENTIALS, moto_running


@pytest.fixture(autouse=True)
def needs_metaflow() -> None:
    # Looked for, not imported: on the way it imports what warns of itself, where PyYAML has its compiled part.
    if find_spec("metaflow") is None:
        if os.environ.get("CI"):
            pytest.fail("metaflow is missing")
        pytest.skip("metaflow is not installed")


def metaflow(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("likeness")), "flow", "metaflow", *arguments],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1", "USERNAME": "tests"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_metaflow_runs_a_refresh_here(place: Place):
    settings = {
        f"LIKENESS_{name.upper()}": str(getattr(place.settings, name))
        for name in ("models", "gallery", "embedder", "threads")
    }
    told = ("--storage", str(place.storage), "--folder", str(place.home), "--set", " ".join(CHANGES))
    told += ("--figure", "eer", "--margin", "-1", "--budget", "1", "--shares", "50/25/25")
    done = metaflow(place.folder, "refresh", "run", *told, **settings)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert Home(place.home).state().model.name == "people-1"
    assert place.settings.library().find("people").manifest.name == "people-1"
    names = [name for person in place.storage.iterdir() for name in (person.name, person.name.split("_")[0])]
    assert not [name for name in names if name in done.stdout + done.stderr], "logs name nobody"
    kept = [path for path in (place.folder / ".metaflow" / "RefreshFlow").rglob("*") if path.is_file()]
    assert kept
    assert max(path.stat().st_size for path in kept) < 100_000, "what goes from step to step is small"


@pytest.mark.slow
def test_the_manifest_for_argo_compiles_without_a_cluster(tmp_path: Path):
    for needed in ("kubernetes", "boto3"):
        pytest.importorskip(needed, reason=f"{needed} is not installed")
    import boto3

    with moto_running() as address:
        client = boto3.client(
            "s3",
            endpoint_url=address,
            region_name="us-east-1",
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )
        client.create_bucket(Bucket="flows")
        done = metaflow(
            tmp_path,
            *(
                "refresh",
                "--datastore",
                "s3",
                "--with",
                'kubernetes:image=likeness:1,persistent_volume_claims={"p":"/k"}',
            ),
            *("argo-workflows", "create", "--only-json"),
            **CREDENTIALS,
            METAFLOW_DATASTORE_SYSROOT_S3="s3://flows/metaflow",
            METAFLOW_S3_ENDPOINT_URL=address,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    manifest = json.loads(done.stdout)
    assert manifest["kind"] == "WorkflowTemplate"
    cron = json.loads(manifest["metadata"]["annotations"]["metaflow/cron"])
    assert cron["schedule"] == "0 3 1 * ?", "monthly"
    steps = {each["name"]: each for each in manifest["spec"]["templates"] if "container" in each}
    assert {"start", *PARTS, "end"} <= steps.keys()
    for name in PARTS:
        assert steps[name]["container"]["image"] == "likeness:1"
        mounted = {each["name"]: each["mountPath"] for each in steps[name]["container"]["volumeMounts"]}
        assert mounted["p"] == "/k"
        assert "refresh_flow.py" in " ".join(steps[name]["container"]["command"])
        assert steps[name]["retryStrategy"]["limit"] == 2
    after = {task["name"]: task["depends"] for task in _tasks(manifest)}
    names = ["start", *PARTS, "end"]
    assert [after[name] for name in names] == ["", *(f"{name}.Succeeded" for name in names[:-1])]
    parameters = {each["name"] for each in manifest["spec"]["arguments"]["parameters"]}
    assert {"storage", "folder", "margin", "figure", "budget"} <= parameters


def _tasks(manifest: dict) -> list[dict]:
    whole = next(each for each in manifest["spec"]["templates"] if "dag" in each)
    return whole["dag"]["tasks"]
