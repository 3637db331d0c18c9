"""What is learnt: a task is a network, its losses, and what it wants of a batch. The loop knows nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from pytorch_metric_learning import losses, miners
from torch import Tensor, nn
from torch.nn import functional

from likeness.train.recipe import (
    ArcFacePart,
    AttributesPart,
    ContinualPart,
    FineTunePart,
    SoftmaxPart,
    TaskPart,
    TripletPart,
)
from likeness.train.validation import separation

Batch = tuple[Tensor, Tensor]
"""Pictures `(b, 3, s, s)` and numbers of their people `(b,)`, or what else they are labelled with `(b, …)`."""


class Task(nn.Module):
    """A network with what it learns by.

    Attributes:
        network: crops `(b, 3, s, s)` to embeddings `(b, d)`; what export takes.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Scalars by name; `loss` among them is what is minimised."""
        raise NotImplementedError

    def seen(self, pictures: Tensor) -> Tensor:
        """What validation looks at, a row for each picture: unit embeddings `(b, d)`."""
        return functional.normalize(self.network(pictures).float(), dim=1)

    def judge(self, seen: Tensor, labels: Tensor) -> Mapping[str, float]:
        """Figures on the validation's rows `(n, …)` and labels `(n, …)`: how well people are told apart."""
        return separation(seen.cpu().numpy(), labels.cpu().numpy().astype(np.intp))

    def class_weights(self) -> Tensor | None:
        """`(people, d)`: whose product with a unit embedding is largest for the person; None without a classifier."""
        return None


class TripletTask(Task):
    """Triplet loss with mining in the batch."""

    def __init__(self, network: nn.Module, part: TripletPart, people: int, dimension: int) -> None:
        super().__init__(network)
        soft = part.margin == "soft"
        within = 0.2 if soft else part.margin
        kinds: dict[str, Callable[[], nn.Module]] = {
            "hard": miners.BatchHardMiner,
            "semihard": lambda: miners.TripletMarginMiner(margin=within, type_of_triplets="semihard"),
        }
        self.miner = kinds[part.mining]()
        self.loss = losses.TripletMarginLoss(margin=0.0 if soft else part.margin, smooth_loss=soft)

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """`loss`, and the embeddings' `spread`: one less their mean cosine, near nothing where they collapse."""
        pictures, people = batch
        # Distances lose too much in bfloat16.
        embeddings = self.network(pictures).float()
        triplets = self.miner(embeddings, people)
        loss = self.loss(embeddings, people, triplets)
        unit = functional.normalize(embeddings.detach(), dim=1)
        spread = 1 - (unit @ unit.T).mean()
        return {"loss": loss, "spread": spread}


class SoftmaxTask(Task):
    """Cross-entropy over a classifier without a bias, so that its answer depends on the direction alone."""

    def __init__(self, network: nn.Module, part: SoftmaxPart, people: int, dimension: int) -> None:
        super().__init__(network)
        self.head = nn.Linear(dimension, people, bias=False)
        self.smoothing = part.label_smoothing

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """`loss`, and the share of the batch that is named rightly."""
        pictures, people = batch
        logits = self.head(self.network(pictures)).float()
        loss = functional.cross_entropy(logits, people, label_smoothing=self.smoothing)
        return {"loss": loss, "right": (logits.argmax(1) == people).float().mean()}

    def class_weights(self) -> Tensor:
        """The classifier's rows."""
        return self.head.weight


class ArcFaceTask(Task):
    """Additive angular margin."""

    def __init__(self, network: nn.Module, part: ArcFacePart, people: int, dimension: int) -> None:
        super().__init__(network)
        self.loss = losses.ArcFaceLoss(people, dimension, margin=part.margin_degrees, scale=part.scale)

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """`loss`, and the share of the batch that is named rightly without the margin."""
        pictures, people = batch
        embeddings = self.network(pictures).float()
        loss = self.loss(embeddings, people)
        with torch.no_grad():
            right = (self.loss.get_logits(embeddings).argmax(1) == people).float().mean()
        return {"loss": loss, "right": right}

    def class_weights(self) -> Tensor:
        """The people's centres."""
        weights: Tensor = self.loss.W
        return functional.normalize(weights, dim=0).T


class FineTuneTask(Task):
    """Cosines to people's centres, and an anchor at the weights it began with."""

    def __init__(self, network: nn.Module, part: FineTunePart, people: int, dimension: int) -> None:
        super().__init__(network)
        self.centres = nn.Parameter(torch.randn(people, dimension))
        self.scale, self.anchor = part.scale, part.anchor
        # Not part of the state: a training that goes on begins from the same bundle again.
        self._began = [value.detach().clone() for value in network.parameters()]

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """`loss`, how far the weights have `moved` (squared), and the share of the batch that is named rightly."""
        pictures, people = batch
        unit = functional.normalize(self.network(pictures).float(), dim=1)
        logits = self.scale * unit @ functional.normalize(self.centres, dim=1).T
        if self._began[0].device != unit.device:
            self._began = [value.to(unit.device) for value in self._began]
        pairs = zip(self.network.parameters(), self._began, strict=True)
        moved = torch.stack([(now - then).square().sum() for now, then in pairs]).sum()
        loss = functional.cross_entropy(logits, people) + self.anchor * moved
        return {"loss": loss, "moved": moved, "right": (logits.argmax(1) == people).float().mean()}

    def class_weights(self) -> Tensor:
        """The people's centres."""
        return functional.normalize(self.centres, dim=1)


def build_task(network: nn.Module, part: TaskPart, people: int, dimension: int) -> Task:
    """The task of a recipe for this many people."""
    if isinstance(part, AttributesPart):
        from likeness.train.attribute_task import AttributesTask  # which is made of what stands here

        return AttributesTask(network, part, dimension)
    if isinstance(part, TripletPart):
        return TripletTask(network, part, people, dimension)
    if isinstance(part, SoftmaxPart):
        return SoftmaxTask(network, part, people, dimension)
    if isinstance(part, FineTunePart):
        return FineTuneTask(network, part, people, dimension)
    if isinstance(part, ContinualPart):
        from likeness.train.continual_task import ContinualTask  # which is made of what stands above

        return ContinualTask(network, part, people, dimension)
    return ArcFaceTask(network, part, people, dimension)
