"""What all trainings do alike around their losses: which weights decay, how the rate moves, what the average keeps."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import nn


def decayed_groups(module: nn.Module, decay: float) -> list[dict[str, Any]]:
    """An optimiser's groups of what is learnt; norms, biases and the like are not decayed."""
    learnt = [value for value in module.parameters() if value.requires_grad]
    return [
        {"params": [value for value in learnt if value.ndim > 1], "weight_decay": decay},
        {"params": [value for value in learnt if value.ndim <= 1], "weight_decay": 0.0},
    ]


def rate_factor(kind: Literal["cosine", "constant"], step: int, *, steps: int, warmup: int) -> float:
    """The factor of the learning rate: a line up to 1 over `warmup` steps, then 1, or a half cosine down to 0."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if kind == "constant":
        return 1.0
    share = (step - warmup) / max(1, steps - warmup)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


def follow(average: nn.Module, learnt: nn.Module, *, steps: int, most: float) -> None:
    """Move the averaged weights after `steps` steps, keeping the share `most` of them.

    Early on they keep less, so that they do not remember the beginning.
    """
    kept = min(most, (1 + steps) / (10 + steps))
    with torch.no_grad():
        for slow, fast in zip(average.state_dict().values(), learnt.state_dict().values(), strict=True):
            if slow.is_floating_point():
                slow.lerp_(fast, 1 - kept)
            else:
                slow.copy_(fast)
