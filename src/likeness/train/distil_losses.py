"""What a student is told of its teacher: where each face lies, how faces lie to each other, and how sure it was."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def centred(embeddings: Tensor, mean: Tensor) -> Tensor:
    """Unit vectors of `embeddings` `(n, d)` of unit length as seen from `mean` `(d,)`."""
    return functional.normalize(functional.normalize(embeddings, dim=1) - mean, dim=1)


def centred_cosine_loss(student: Tensor, teacher: Tensor, mean: Tensor) -> Tensor:
    """Mean of 1 − cos between the student's and the teacher's embeddings `(n, d)`, both seen from `mean` `(d,)`.

    `mean` is that of the teacher's unit embeddings. Where it is far from nothing, all faces lie in a narrow cone and
    plain cosines are near 1 for anybody: only what is left after the mean tells people apart.
    """
    return (1 - (centred(student, mean) * centred(teacher, mean)).sum(dim=1)).mean()


def relation_loss(student: Tensor, teacher: Tensor, mean: Tensor | None = None) -> Tensor:
    """Mean squared difference of the pairwise cosines within the batch, `(n, d)` each.

    RKD with cosines for distances: Park et al. 2019, "Relational Knowledge Distillation". With `mean` `(d,)` the
    cosines are of centred embeddings. The diagonal, always 1, is left out.
    """
    if mean is None:
        unit = [functional.normalize(each, dim=1) for each in (student, teacher)]
    else:
        unit = [centred(each, mean) for each in (student, teacher)]
    apart = unit[0] @ unit[0].T - unit[1] @ unit[1].T
    count = len(student)
    return (apart.square().sum() - apart.diagonal().square().sum()) / max(1, count * (count - 1))


def softened_classes_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """T² · KL(teacher's softened classes ‖ student's), mean over the batch, of logits `(n, classes)`.

    Hinton et al. 2015, "Distilling the Knowledge in a Neural Network": dividing by the temperature T shows how alike
    the teacher finds the wrong classes; T² keeps the gradients' size.
    """
    told = functional.log_softmax(student_logits / temperature, dim=1)
    known = functional.log_softmax(teacher_logits / temperature, dim=1)
    return temperature**2 * functional.kl_div(told, known, reduction="batchmean", log_target=True)


def map_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared difference of feature maps `(n, c, h, w)` as a share of the teacher's mean square.

    Romero et al. 2015, "FitNets", without a regressor between them: a student that was cut out of its teacher has
    the same channels. A teacher's map of another size is read off at the student's places before it comes here.
    """
    return (student - teacher).square().mean() / teacher.square().mean().clamp_min(torch.finfo(teacher.dtype).eps)
