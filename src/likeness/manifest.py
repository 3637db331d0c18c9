"""What a bundle says of itself: `manifest.json`, as values that are checked when they are read."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from likeness.types import Pixels

Role = Literal["detector", "embedder", "attributes"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BundleFile(_Strict):
    """One file of a bundle: its name, digest and size."""

    path: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)


class InputSpec(_Strict):
    """What the network takes: square crops of `side_px`; (value − mean) × scale per channel where it takes floats."""

    side_px: int = Field(gt=0, le=2048)
    channels: Literal["RGB", "BGR"] = "RGB"
    layout: Literal["NHWC", "NCHW"] = "NHWC"
    dtype: Literal["uint8", "float32"] = "uint8"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def prepare(self, crops: Pixels) -> NDArray[Any]:
        """RGB crops `(n, h, w, 3)` uint8 as the network wants them."""
        array: NDArray[Any] = crops[..., ::-1] if self.channels == "BGR" else crops
        if self.dtype == "float32":
            array = (array.astype(np.float32) - np.array(self.mean, np.float32)) * np.array(self.scale, np.float32)
        if self.layout == "NCHW":
            array = array.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(array)


class Alignment(_Strict):
    """Where the five landmarks belong in the crop, in pixels of the crop."""

    template_px: tuple[tuple[float, float], ...] = Field(min_length=5, max_length=5)


class Embedding(_Strict):
    """The vectors that come out: how long, and of which space."""

    dimension: int = Field(gt=0)
    space: str


class Attributes(_Strict):
    """Ages and genders that the network tells, alone or beside embeddings in the same pass.

    Its output `age_logits` is `(n, age_bins)`: their softmax is a distribution over the ages `first_year`,
    `first_year` + `year_step`, …; its output `gender_logit` is `(n,)`, positive for female.

    Attributes:
        labels: in words, who said the ages and genders that it learnt, and what they cannot tell.
    """

    first_year: float = Field(ge=0)
    year_step: float = Field(1.0, gt=0)
    age_bins: int = Field(ge=2, le=1000)
    labels: str = Field(min_length=1)

    @property
    def years(self) -> NDArray[np.float64]:
        """The age that each bin stands for, `(age_bins,)`."""
        return self.first_year + self.year_step * np.arange(self.age_bins, dtype=np.float64)


class Licence(_Strict):
    """Licences of code, weights and training data, and whether commercial use is allowed (None: not documented).

    `note` says in words what `commercial` rests on, and what it leaves open.
    """

    code: str
    weights: str
    data: str
    commercial: bool | None = None
    note: str = ""

    @property
    def objection(self) -> str:
        """What stands against commercial use, in words; empty where it is documented to be allowed."""
        words = {True: "", False: "forbids commercial use", None: "does not document whether commercial use is allowed"}
        return words[self.commercial]

    @property
    def in_words(self) -> str:
        """`yes`, `no` or `not documented`: whether commercial use is allowed."""
        return {True: "yes", False: "no", None: "not documented"}[self.commercial]


class Metric(_Strict):
    """One measured figure, with the data, the protocol in words, and the date."""

    name: str
    value: float
    data: str
    protocol: str = ""
    date: str = ""


class Manifest(_Strict):
    """`manifest.json` of a bundle."""

    format: Literal[1] = 1
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    version: str
    role: Role
    engine: str
    summary: str
    files: dict[str, BundleFile]
    input: InputSpec | None = None
    alignment: Alignment | None = None
    embedding: Embedding | None = None
    attributes: Attributes | None = None
    parameters: dict[str, Any] = {}
    metrics: tuple[Metric, ...] = ()
    licence: Licence
    origin: dict[str, Any] = {}
