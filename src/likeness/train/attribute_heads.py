"""Heads for apparent age and gender on any trunk, and what they learn by; usable without the loop."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

BINS = 101
"""Years from 0 to 100; older people count as the oldest bin."""
SIGMA_YEARS = 2.0


class AttributeHead(nn.Module):
    """Age and gender logits from a trunk's features.

    Args:
        features: channels of the feature map, or length of the pooled features.
        bins: ages told: `first_year`, `first_year + year_step`, …
        hidden: width of a layer (with normalisation and ReLU) before the answers; 0 has none.
        drop: share of features left out while learning.
    """

    years: Tensor

    def __init__(
        self,
        features: int,
        *,
        bins: int = BINS,
        first_year: float = 0.0,
        year_step: float = 1.0,
        hidden: int = 0,
        drop: float = 0.0,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        if hidden:
            layers += [nn.Linear(features, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU()]
        self.shared = nn.Sequential(*layers, nn.Dropout(drop))
        self.age = nn.Linear(hidden or features, bins)
        self.gender = nn.Linear(hidden or features, 1)
        self.register_buffer("years", first_year + year_step * torch.arange(bins), persistent=False)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """`age_logits` `(n, bins)` and `gender_logit` `(n,)`, positive for female.

        Of a feature map `(n, c, h, w)`, whose mean over places is taken, or of pooled features `(n, c)`.
        """
        pooled = features.mean((2, 3)) if features.ndim == 4 else features
        shared = self.shared(pooled)
        return self.age(shared), self.gender(shared).squeeze(1)


def attribute_loss(
    age_logits: Tensor,
    gender_logit: Tensor,
    ages: Tensor,
    genders: Tensor,
    *,
    years: Tensor | None = None,
    sigma_years: float = SIGMA_YEARS,
    mean_weight: float = 0.1,
    gender_weight: float = 1.0,
) -> Mapping[str, Tensor]:
    """`loss` = `age` + `mean_weight` · `age_error` + `gender_weight` · `gender`, each a mean over faces that have it.

    `age` is the Kullback-Leibler divergence of the told distribution p = softmax(age_logits) from the label's, a
    Gaussian about the known age: Σ q·(log q − log p) with q_k ∝ exp(−(year_k − age)² / 2σ²); Gao et al. 2017, "Deep
    label distribution learning". `age_error` is |Σ p_k·year_k − age| in years; Gao et al. 2018, "Age estimation using
    expectation of label distribution learning". `gender` is the binary cross-entropy.

    Args:
        age_logits: `(n, bins)`. gender_logit: `(n,)`, positive for female.
        ages: `(n,)` in years, NaN where not known; clamped to the bins.
        genders: `(n,)` 1 for female, 0 for male, NaN where not known.
        years: `(bins,)` ages of the bins; unless given 0, 1, 2, …
    """
    logits, logit = age_logits.float(), gender_logit.float()
    if years is None:
        years = torch.arange(logits.shape[1], device=logits.device)
    years = years.to(logits)
    aged, sexed = ages.isfinite(), genders.isfinite()
    known = ages.nan_to_num().to(logits).clamp(float(years[0]), float(years[-1]))
    wanted = torch.log_softmax(-((years - known[:, None]) ** 2) / (2 * sigma_years**2), dim=1)
    told = functional.log_softmax(logits, dim=1)
    apart = (wanted.exp() * (wanted - told)).sum(1)
    error = (told.exp() @ years - known).abs()
    wrong = functional.binary_cross_entropy_with_logits(logit, genders.nan_to_num().to(logit), reduction="none")
    age, age_error, gender = _mean_of(apart, aged), _mean_of(error, aged), _mean_of(wrong, sexed)
    loss = age + mean_weight * age_error + gender_weight * gender
    return {"loss": loss, "age": age, "age_error": age_error, "gender": gender}


def _mean_of(values: Tensor, chosen: Tensor) -> Tensor:
    """The mean over the chosen faces; 0 where there are none."""
    return torch.where(chosen, values, 0.0).sum() / chosen.sum().clamp(min=1)
