"""New people are learnt, and the network is held to what it said before of the same pictures."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.train.distil_losses import centred_cosine_loss, relation_loss, softened_classes_loss
from likeness.train.recipe import ContinualPart
from likeness.train.tasks import Batch, Task


class Teacher:
    """The previous network, frozen: what a step is held to.

    No module, so that it is neither trained nor kept in checkpoints: a training that goes on reads it again.

    Args:
        network: crops to embeddings `(b, d)`.
        mean: `(d,)` of its unit embeddings; they are compared as seen from there.
        centres: `(old, d)` of the people whom it knows, the first of those that are learnt now.
    """

    def __init__(self, network: nn.Module, mean: Tensor, centres: Tensor) -> None:
        self._network = network.eval().requires_grad_(requires_grad=False)
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.mean, self.centres = mean, functional.normalize(centres, dim=1)

    def __call__(self, pictures: Tensor) -> Tensor:
        """Unit embeddings of pictures."""
        if self.mean.device != pictures.device:
            self._network.to(pictures.device)
            self.mean, self.centres = self.mean.to(pictures.device), self.centres.to(pictures.device)
        with torch.no_grad():
            return functional.normalize(self._network(pictures).float(), dim=1)


class ContinualTask(Task):
    """Cosines to people's centres, and three distances from the previous network; see `ContinualPart`.

    Without a `teacher` nothing holds it: that is fine-tuning without protection.
    """

    teacher: Teacher | None = None

    def __init__(self, network: nn.Module, part: ContinualPart, people: int, dimension: int) -> None:
        super().__init__(network)
        self.centres = nn.Parameter(torch.randn(people, dimension))
        self.part = part

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """`loss`, the share of the batch that is named rightly, and each distance from the teacher."""
        pictures, people = batch
        unit = functional.normalize(self.network(pictures).float(), dim=1)
        logits = self.part.scale * unit @ self.class_weights().T
        loss = functional.cross_entropy(logits, people)
        found = {"right": (logits.argmax(1) == people).float().mean()}
        if self.teacher is not None:
            for name, weight, distance in self._distances(pictures, unit, logits, self.teacher):
                found[name], loss = distance, loss + weight * distance
        return {"loss": loss, **found}

    def _distances(
        self, pictures: Tensor, unit: Tensor, logits: Tensor, teacher: Teacher
    ) -> list[tuple[str, float, Tensor]]:
        before, part = teacher(pictures), self.part
        found = [
            ("embedding", part.embedding, centred_cosine_loss(unit, before, teacher.mean)),
            ("relations", part.relations, relation_loss(unit, before, teacher.mean)),
        ]
        old = len(teacher.centres)
        if old > 1:
            said = part.scale * before @ teacher.centres.T
            found.append(("classes", part.classes, softened_classes_loss(logits[:, :old], said, part.temperature)))
        return found

    def class_weights(self) -> Tensor:
        """The people's centres."""
        return functional.normalize(self.centres, dim=1)
