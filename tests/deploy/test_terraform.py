"""The Terraform example, as it is written: it parses, what it refers to is there, and it gives no more than is needed.

It is not applied: there is no account, and Terraform's providers cannot be fetched here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import hcl2
import pytest
from deployed import DEPLOY, ROOT

from likeness.intake import STEPS

FOLDER = DEPLOY / "terraform"


def plain(value: Any) -> Any:
    """Without the parser's marks and the quotes of literal strings."""
    if isinstance(value, dict):
        return {plain(key): plain(each) for key, each in value.items() if not key.startswith("__")}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value[1:-1] if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"' else value


@pytest.fixture(scope="module")
def written() -> dict[str, list[Any]]:
    """All blocks, by kind."""
    found: dict[str, list[Any]] = {}
    for path in sorted(FOLDER.glob("*.tf")):
        with path.open("r", encoding="utf-8") as file:
            for kind, blocks in plain(hcl2.load(file)).items():
                found.setdefault(kind, []).extend(blocks)
    return found


def named(written: dict[str, list[Any]], kind: str, of: str) -> dict[str, Any]:
    """The blocks of a type, by name."""
    return {name: body for block in written[kind] if of in block for name, body in block[of].items()}


def statements(written: dict[str, list[Any]], name: str) -> dict[str, dict[str, Any]]:
    return {each["sid"]: each for each in named(written, "data", "aws_iam_policy_document")[name]["statement"]}


def test_everything_that_is_referred_to_is_there_and_every_variable_is_used(written):
    text = "\n".join(re.sub(r"#.*", "", path.read_text("utf-8")) for path in FOLDER.glob("*.tf"))
    variables = {name for block in written["variable"] for name in block}
    assert set(re.findall(r"\bvar\.(\w+)", text)) == variables
    local = {name for block in written["locals"] for name in block}
    assert set(re.findall(r"\blocal\.(\w+)", text)) == local
    made = {f"{kind}.{name}" for block in written["resource"] for kind, of in block.items() for name in of}
    for kind, name in re.findall(r"(?<!data\.)\b(aws_\w+)\.(\w+)", text):
        assert f"{kind}.{name}" in made, f"{kind}.{name} is not made"
    asked = {f"{kind}.{name}" for block in written["data"] for kind, of in block.items() for name in of}
    assert {f"{kind}.{name}" for kind, name in re.findall(r"\bdata\.(aws_\w+)\.(\w+)", text)} == asked


def test_there_is_a_queue_for_each_step_under_the_name_that_workers_look_for(written):
    [steps] = [block["steps"] for block in written["locals"] if "steps" in block]
    assert re.findall(r'"(\w+)"', steps) == list(STEPS)
    queues = named(written, "resource", "aws_sqs_queue")
    assert queues["step"]["name"] == "${var.prefix}-${each.key}"
    assert queues["dead"]["name"] == "${var.prefix}-${each.key}-dead"
    [output] = [block["settings"]["value"] for block in written["output"] if "settings" in block]
    assert output["LIKENESS_QUEUE"] == "sqs://${var.region}/${var.prefix}"


def test_queues_keep_messages_as_long_as_ours_and_give_up_after_ours(written):
    from likeness.intake.queues.base import LEASE_S, MOST_ATTEMPTS
    from likeness.intake.queues.sqs import KEPT_S

    for queue in named(written, "resource", "aws_sqs_queue").values():
        assert queue["message_retention_seconds"] == KEPT_S
        assert "sqs_managed_sse_enabled" in queue
    step = named(written, "resource", "aws_sqs_queue")["step"]
    assert step["visibility_timeout_seconds"] == LEASE_S
    assert "aws_sqs_queue.dead[each.key].arn" in step["redrive_policy"]
    [most] = re.findall(r"maxReceiveCount\W+(\d+)", step["redrive_policy"])
    # A worker buries a message with its reason before SQS takes it away without one.
    assert int(most) > MOST_ATTEMPTS


def test_buckets_are_private_encrypted_and_forget_what_is_deleted(written):
    kinds = (
        "aws_s3_bucket_public_access_block",
        "aws_s3_bucket_ownership_controls",
        "aws_s3_bucket_server_side_encryption_configuration",
        "aws_s3_bucket_versioning",
        "aws_s3_bucket_lifecycle_configuration",
        "aws_s3_bucket_policy",
    )
    for kind in kinds:
        assert named(written, "resource", kind)["this"]["for_each"] == "${local.buckets}"
    block = named(written, "resource", kinds[0])["this"]
    assert all(block[f"{what}_public_{whose}"] is True for what in ("block",) for whose in ("acls", "policy"))
    assert block["ignore_public_acls"] is True
    assert block["restrict_public_buckets"] is True
    [versioning] = named(written, "resource", kinds[3])["this"]["versioning_configuration"]
    assert versioning["status"] == "Disabled"
    tls = statements(written, "bucket")["TlsOnly"]
    assert (tls["effect"], tls["actions"]) == ("Deny", ["s3:*"])
    assert tls["condition"][0]["variable"] == "aws:SecureTransport"


def test_only_the_bucket_of_photos_may_send_and_only_to_the_first_step(written):
    rule = statements(written, "events")["EventsOfPhotos"]
    assert rule["actions"] == ["sqs:SendMessage"]
    assert rule["resources"] == ['${aws_sqs_queue.step["detect"].arn}']
    assert rule["principals"] == [{"type": "Service", "identifiers": ["s3.amazonaws.com"]}]
    assert {each["variable"] for each in rule["condition"]} == {"aws:SourceArn", "aws:SourceAccount"}
    notification = named(written, "resource", "aws_s3_bucket_notification")["photos"]
    [queue] = notification["queue"]
    assert queue["events"] == ["s3:ObjectCreated:*"]
    assert queue["queue_arn"] == '${aws_sqs_queue.step["detect"].arn}'
    assert "aws_sqs_queue_policy.events" in str(notification["depends_on"])


def test_a_worker_may_do_what_the_page_on_queues_says_and_nothing_else(written):
    rules = statements(written, "likeness")
    page = (ROOT / "docs" / "queues.md").read_text("utf-8")
    [sentence] = re.findall(r"The account needs (.*?), and `CreateQueue`", page, re.DOTALL)
    needed = {name.removeprefix("sqs:") for name in re.findall(r"`([\w:]+)`", sentence)}
    assert {name.removeprefix("sqs:") for name in rules["Queues"]["actions"]} == needed
    assert rules["Photos"]["actions"] == ["s3:GetObject"]
    assert rules["SpoolAndFaces"]["actions"] == ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    assert rules["Names"]["actions"] == ["s3:ListBucket"]
    assert all("*" not in action for rule in rules.values() for action in rule["actions"])
    assert all(rule["resources"] not in ("*", ["*"]) for rule in rules.values())


def test_no_secret_and_no_state_of_it_is_kept():
    ignored = (FOLDER / ".gitignore").read_text("utf-8")
    assert "*.tfstate*" in ignored
    assert not list(Path(FOLDER).glob("*.tfstate*"))
