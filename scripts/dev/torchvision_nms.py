"""Lets the registry's torchvision, built for CUDA, be imported beside a torch for the CPU.

Its compiled part cannot load there, and its Python part fails for want of the declaration of its operators. `make
setup` puts this file into the development environment, with a `.pth` file that imports it; it acts when torchvision
is imported. A torchvision that matches its torch is left alone, and nothing of the package needs this.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import version
from types import ModuleType
from typing import Any

_kept: list[Any] = []


class BeforeTorchvision(MetaPathFinder):
    """Declares torchvision's suppression operators just before torchvision's code is run; looking for it does not."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """What the usual finder finds, to be run after the declaration."""
        if fullname != "torchvision":
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def declare_and_run(module: ModuleType) -> None:
                _declare()
                run(module)

            spec.loader.exec_module = declare_and_run  # type: ignore[method-assign]
        return spec


def _declare() -> None:
    import torch

    if torch.version.cuda is None and not version("torchvision").endswith("+cpu"):
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _kept.append(library)  # the declarations last as long as this object


sys.meta_path.insert(0, BeforeTorchvision())
