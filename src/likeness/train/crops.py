"""Crops in memory, as the network takes them, with augmentation that depends on seed, epoch and photo alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from likeness.bundle import InputSpec
from likeness.data.dataset import Dataset
from likeness.data.manifest import Row
from likeness.errors import DatasetError
from likeness.types import Pixels
from likeness.vision.session import available_cores

Transform = Callable[[Tensor], Tensor]


class Crops(TorchDataset[tuple[Tensor, Any]]):
    """Photos of people: item `(epoch, index)` is `(3, s, s)` float32 and the number of the person, or what else is
    known of the photo: its row of labels `(n, k)`.

    The same seed, epoch and index give the same picture in every process and after every restart.
    """

    def __init__(
        self,
        pixels: Pixels,
        labels: NDArray[Any],
        spec: InputSpec,
        *,
        augment: str = "none",
        seed: int = 0,
        old: NDArray[np.bool_] | None = None,
    ) -> None:
        self.pixels, self.labels, self.old, self._seed = pixels, labels, old, seed
        self._mean = torch.tensor(spec.mean).view(3, 1, 1)
        self._scale = torch.tensor(spec.scale).view(3, 1, 1)
        self._transform = augmentation(augment, spec.side_px)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, place: tuple[int, int]) -> tuple[Tensor, Any]:
        """One picture, augmented, with its person or its labels."""
        epoch, index = place
        picture = torch.from_numpy(self.pixels[index]).permute(2, 0, 1)
        if self._transform is not None:
            # The library draws from the global generator: borrow it, so that nothing else shifts what is drawn.
            # (torch.manual_seed would set those of all devices too, a hundred times slower.)
            generator = torch.default_generator
            before = generator.get_state()
            generator.manual_seed(hash((self._seed, epoch, index)) & 0xFFFFFFFF)
            picture = self._transform(picture)
            generator.set_state(before)
        label = int(self.labels[index]) if self.labels.ndim == 1 else torch.from_numpy(self.labels[index])
        return (picture.float() - self._mean) * self._scale, label


def augmentation(name: str, side_px: int) -> Transform | None:
    """What is done to a uint8 picture `(3, s, s)`: `none`; `light` mirrors and shifts; `standard` adds colour and blur.

    A face that was aligned is moved and scaled by little: at run time it will be aligned too.
    """
    if name == "none":
        return None
    from torchvision.transforms import v2

    steps: list[Transform] = [
        v2.RandomHorizontalFlip(),
        v2.RandomResizedCrop(side_px, scale=(0.8, 1.0), ratio=(0.92, 1.08), antialias=True),
    ]
    if name == "standard":
        steps += [
            v2.ColorJitter(brightness=0.35, contrast=0.35, saturation=0.25),
            v2.RandomGrayscale(0.1),
            v2.RandomApply([v2.GaussianBlur(5, sigma=(0.2, 1.6))], 0.15),
            v2.RandomErasing(0.25, scale=(0.02, 0.15), value=127),
        ]
    transform: Transform = v2.Compose(steps)
    return transform


def load_crops(
    dataset: Dataset, rows: Sequence[Row], side_px: int, *, progress: Callable[[int, int], None] = lambda d, t: None
) -> Pixels:
    """All crops of `rows` as `(n, side_px, side_px, 3)` uint8.

    Raises:
        DatasetError: one of them is missing or damaged, or all together do not fit into the memory.
    """
    _expect_room(len(rows), side_px)
    pixels = np.empty((len(rows), side_px, side_px, 3), np.uint8)
    with ThreadPoolExecutor(available_cores()) as pool:
        loaded = pool.map(lambda row: _load(dataset.path(row), side_px), rows)
        for at, crop in enumerate(loaded):
            pixels[at] = crop
            progress(at + 1, len(rows))
    return pixels


def _expect_room(count: int, side_px: int) -> None:
    """Linux promises more memory than there is, and ends who takes it at its word."""
    needed = count * side_px * side_px * 3
    try:
        free = next(
            int(line.split()[1]) * 1024
            for line in Path("/proc/meminfo").read_text("ascii").splitlines()
            if line.startswith("MemAvailable:")
        )
    except (OSError, StopIteration):
        return
    if needed > free:
        raise DatasetError(
            f"{count:,} crops of {side_px} pixels take {needed / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free",
            hint="learn fewer people: --set data.max_people=…",
        )


def _load(path: Path, side_px: int) -> Pixels:
    try:
        with Image.open(path) as image:
            upright = image.convert("RGB")
            if upright.size != (side_px, side_px):
                upright = upright.resize((side_px, side_px), Image.Resampling.BICUBIC)
            return np.asarray(upright)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise DatasetError(
            f"the crop {str(path)!r} cannot be read: {type(error).__name__}", hint="make the crops anew"
        ) from None
