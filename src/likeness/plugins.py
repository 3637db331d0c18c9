"""Name → factory for the parts that can be exchanged; built-ins and strangers' plugins register the same way.

A part has a kind (`gallery`, `detector`, `embedder`, `attributes`, `converter`, `source`,
`queue`, `storage`) and a name. Built-ins are rows of `BUILTIN`; an installed package adds more through the entry-point
group `likeness.KIND`. A target is `module:attribute`, imported when it is asked for.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from likeness.errors import SettingsError

BUILTIN: dict[str, dict[str, str]] = {
    "gallery": {
        "file": "likeness.gallery.embedded:open_embedded",
        "postgresql": "likeness.gallery.postgres:open_postgres",
        "postgres": "likeness.gallery.postgres:open_postgres",
        "elasticsearch": "likeness.gallery.elastic:open_elastic",
        "elasticsearch+https": "likeness.gallery.elastic:open_elastic",
    },
    "storage": {
        "file": "likeness.storage.folder:FolderStorage",
        "s3": "likeness.storage.s3:BucketStorage",
    },
    "detector": {
        "mtcnn-cascade": "likeness.vision.mtcnn:MtcnnDetector",
        "single-shot": "likeness.vision.single_shot:SingleShotDetector",
    },
    "embedder": {"aligned-crop": "likeness.vision.embed:Embedder"},
    "attributes": {"aligned-crop": "likeness.vision.attributes:AttributeNetwork"},
    "converter": {
        "mtcnn": "likeness.convert.mtcnn:convert",
        "dlib-resnet": "likeness.convert.dlib_resnet:convert",
    },
    "queue": {
        "file": "likeness.intake.queues.embedded:open_embedded",
        "redis": "likeness.intake.queues.redis:open_redis",
        "rediss": "likeness.intake.queues.redis:open_redis",
        "unix": "likeness.intake.queues.redis:open_redis",
        "sqs": "likeness.intake.queues.sqs:open_sqs",
    },
    "source": {
        "agedb": "likeness.data.sources.agedb:AgeDb",
        "csv": "likeness.data.sources.table:Table",
        "dataset": "likeness.data.sources.dataset:OwnDataset",
        "folder": "likeness.data.sources.people:PeopleFolders",
        "huggingface": "likeness.data.sources.huggingface:HuggingFace",
        "imdb-wiki": "likeness.data.sources.imdb_wiki:ImdbWiki",
        "lfw": "likeness.data.sources.lfw:Lfw",
        "utkface": "likeness.data.sources.utkface:UtkFace",
        "vggface2": "likeness.data.sources.vggface2:VggFace2",
    },
}


@cache
def targets(kind: str) -> dict[str, str]:
    """All names of a kind with their `module:attribute`; an installed plugin may not take a built-in's name."""
    found = {entry.name: entry.value for entry in entry_points(group=f"likeness.{kind}")}
    return found | BUILTIN.get(kind, {})


def load(kind: str, name: str) -> Any:
    """The factory registered under a name.

    Raises:
        SettingsError: nothing is registered under it; the message lists what is.
    """
    known = targets(kind)
    if name not in known:
        raise SettingsError(f"no {kind} is called {name!r}", hint=f"known: {', '.join(sorted(known)) or 'none'}")
    module, _, attribute = known[name].partition(":")
    return getattr(import_module(module), attribute)
