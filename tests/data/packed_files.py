"""Archives with given files."""

from __future__ import annotations

import io
import tarfile
import zipfile

BODY = bytes(range(256)) * 4000
FACES = {"lfw/Ada/Ada_0001.jpg": b"a" * 5000, "./lfw/Al/Al_0001.jpg": b"b", "lfw/empty": b""}


def packed(entries: dict[str, bytes], kind: str = "w:gz") -> bytes:
    file = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(file, "w") as archive:
            for name, data in entries.items():
                archive.writestr(name, data)
    else:
        with tarfile.open(fileobj=file, mode=kind) as archive:
            for name, data in entries.items():
                info = tarfile.TarInfo(name)
                info.size, info.mode = len(data), 0o4777
                archive.addfile(info, io.BytesIO(data))
    return file.getvalue()
