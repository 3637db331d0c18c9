"""The steps of the pipeline, each named as its queue; see `likeness.intake.steps.base`."""

from __future__ import annotations

from likeness.intake.steps.base import Bury, Done, Outcome, Retry, Step, Workshop
from likeness.intake.steps.detect import Detect
from likeness.intake.steps.enrol import Enrol
from likeness.intake.steps.identify import Identify
from likeness.intake.steps.tell import Tell

KINDS: dict[str, type[Step]] = {step.name: step for step in (Detect, Identify, Enrol, Tell)}
"""What does each of `likeness.intake.STEPS`."""

__all__ = ["KINDS", "Bury", "Done", "Outcome", "Retry", "Step", "Workshop"]
