"""Make the bundles that come with the installation, from the published weights and the catalogue.

python scripts/build_bundles.py [NAME …]
"""

from __future__ import annotations

import shutil
import sys
from functools import partial

from likeness.bundle import CATALOGUE, PACKAGED, make_bundle, place_folder

DEFAULT = ("mtcnn", "dlib-resnet-int8")


def main() -> None:
    for name in sys.argv[1:] or DEFAULT:
        shutil.rmtree(PACKAGED / name, ignore_errors=True)
        bundle = place_folder(PACKAGED / name, partial(make_bundle, CATALOGUE / name))
        size = sum(entry.bytes for entry in bundle.manifest.files.values())
        print(f"{bundle.folder}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
