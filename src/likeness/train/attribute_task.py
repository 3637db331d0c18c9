"""A network that tells age and gender and nothing else: what it is, what it learns by, how it is validated."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from likeness.train.attribute_heads import AttributeHead, attribute_loss
from likeness.train.recipe import AttributesPart
from likeness.train.tasks import Batch, Task


class TellingNetwork(nn.Module):
    """A trunk that gives features, and the heads on them."""

    def __init__(self, trunk: nn.Module, part: AttributesPart, features: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = AttributeHead(
            features, bins=part.age_bins, first_year=part.first_year, year_step=part.year_step, drop=part.drop
        )

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures `(n, 3, s, s)` to `age_logits` `(n, bins)` and `gender_logit` `(n,)`."""
        age_logits, gender_logit = self.head(torch.relu(self.trunk(pictures)))
        return age_logits, gender_logit


class AttributesTask(Task):
    """Age as a distribution over years, and gender; see `attribute_loss`. Labels are `(b, 2)`: years, 1 for female."""

    def __init__(self, trunk: nn.Module, part: AttributesPart, features: int) -> None:
        super().__init__(TellingNetwork(trunk, part, features))
        self._part = part

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """`loss` and its parts."""
        pictures, labels = batch
        age_logits, gender_logit = self.network(pictures)
        return attribute_loss(
            age_logits,
            gender_logit,
            labels[:, 0],
            labels[:, 1],
            years=self._years,
            sigma_years=self._part.sigma_years,
            mean_weight=self._part.mean_weight,
            gender_weight=self._part.gender_weight,
        )

    def seen(self, pictures: Tensor) -> Tensor:
        """The age told, the median of its distribution, and the gender logit: `(b, 2)`."""
        age_logits, gender_logit = self.network(pictures)
        below = age_logits.float().softmax(1).cumsum(1)
        median = self._years[(below < 0.5).sum(1).clamp(max=len(self._years) - 1)]
        return torch.stack([median, gender_logit.float()], dim=1)

    def judge(self, seen: Tensor, labels: Tensor) -> Mapping[str, float]:
        """The ages' mean absolute error, in years, and the share of genders that are told rightly; where known."""
        age, female = labels.T
        aged, sexed = age.isfinite(), female.isfinite()
        figures = {}
        if aged.any():
            figures["mean_absolute_error_years"] = float((seen[aged, 0] - age[aged]).abs().mean())
        if sexed.any():
            figures["gender_accuracy"] = float(((seen[sexed, 1] > 0) == (female[sexed] > 0.5)).float().mean())
        return figures

    @property
    def _years(self) -> Tensor:
        assert isinstance(self.network, TellingNetwork)
        return self.network.head.years
