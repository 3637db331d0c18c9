"""Train the single-shot detector from a data set's photos, labelled by another detector, to its bundle.

    python scripts/train_detector.py --data ../shared/data/utkface --backgrounds PICTURES --work WORK \\
        --out src/likeness/bundles/likeness-detector

PICTURES are folders of photos, best without people: those in which the teacher sees a face are not used. The published
bundle was made with the wallpapers in Debian's packages gnome-backgrounds, mate-backgrounds, lxqt-themes,
plasma-workspace-wallpapers, ukui-wallpapers, lomiri-wallpapers, desktop-base, xfdesktop4-data, cinnamon-desktop-data
and xplanet-images (`apt-get download NAME && dpkg -x NAME.deb PICTURES`). Stopped anywhere, the same command goes on;
another one is refused in the same WORK.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.progress import Progress

from likeness.data.sources import open_source
from likeness.settings import Settings
from likeness.train.bundling import WEIGHTS
from likeness.train.detector import DistilOptions, distil_detector
from likeness.train.detector_work import Schedule
from likeness.train.scenes import SceneOptions


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder of photos, of any source")
    parser.add_argument("--source", help="its layout (default: recognised)")
    parser.add_argument("--backgrounds", type=Path, nargs="*", default=[], help="folders of pictures without people")
    parser.add_argument("--backgrounds-from", default="not stated", help="where those come from, for the card")
    parser.add_argument("--licence", default=WEIGHTS, help="of the weights, in words")
    parser.add_argument("--teacher", default="mtcnn", help="bundle of the detector that labels (default mtcnn)")
    parser.add_argument("--work", type=Path, required=True, help="folder for what is kept between runs")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle; its name is the bundle's")
    parser.add_argument("--epochs", type=int, nargs=2, metavar=("FINDER", "REFINER"))
    parser.add_argument("--replace", action="store_true", help="a bundle that is there may go")
    parser.add_argument("--smoke", action="store_true", help="far too short, to see that all is there")
    choice = parser.parse_args(arguments)
    options = smoke_options() if choice.smoke else DistilOptions()
    if choice.epochs:
        finder, refiner = (replace(schedule, epochs=epochs) for schedule, epochs in
                           zip((options.finder, options.refiner), choice.epochs, strict=True))  # fmt: skip
        options = replace(options, finder=finder, refiner=refiner)
    options = replace(options, backdrops=choice.backgrounds_from)
    listing = open_source(choice.data, choice.source)
    with Progress() as bar:
        task = bar.add_task("teacher")
        bundle = distil_detector(
            listing, choice.backgrounds, Settings().library().find(choice.teacher), choice.work, choice.out, options,
            licence=choice.licence, replace=choice.replace, say=bar.console.print,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )  # fmt: skip
    size = sum(file.bytes for file in bundle.manifest.files.values())
    print(f"{bundle.folder}: {size / 1e6:.1f} MB")


def smoke_options() -> DistilOptions:
    """Two batches of everything."""
    few = Schedule(epochs=1, batches=2, size=4, workers=0)
    scenes = SceneOptions(side_px=96, face_px=(30.0, 80.0))
    return DistilOptions(
        scenes=scenes, refined_scenes=scenes, finder=few, refiner=few, held_scenes=8, shares=(0.5, 0.25, 0.25)
    )


if __name__ == "__main__":
    main()
