"""Make the corpus of hostile files: python scripts/make_hostile.py [tests/hostile/files].

Each is small, shows nobody, and does what somebody would send who wants to fill the memory or the disk, to write or
read where they may not, to run code, or to be taken for something else. `tests/hostile` says what becomes of each.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import pickle
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms
from pillow_heif import register_heif_opener

OUT = Path(__file__).resolve().parent.parent / "tests" / "hostile" / "files"
MARK = "made-by-a-hostile-file"
"""Name of the file that those which carry code would make, in the folder that they are read in."""


def picture(width: int = 48, height: int = 40) -> Image.Image:
    """Soft colours."""
    seed = np.random.default_rng(7).integers(30, 225, (4, 5, 3)).astype(np.uint8)
    return Image.fromarray(seed).resize((width, height), Image.Resampling.BICUBIC)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """A picture's file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    """A chunk of a PNG."""
    return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")


def box(name: bytes, body: bytes, size: int | None = None) -> bytes:
    """A box of MP4 and HEIC, which may state another size than it has."""
    return (len(body) + 8 if size is None else size).to_bytes(4, "big") + name + body


def png_with(*chunks: bytes, width: int = 48, height: int = 40) -> bytes:
    """A PNG with more chunks behind its header, which may state another size than it has."""
    whole = saved(picture(), "PNG")
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return whole[:8] + chunk(b"IHDR", header) + b"".join(chunks) + whole[33:]


def photos() -> dict[str, bytes]:
    """Files that are given as photos."""
    register_heif_opener()
    jpeg, png = saved(picture(), "JPEG", quality=80), saved(picture(), "PNG")
    turned = Image.Exif()
    turned[0x0112] = 999
    looped = bytearray(saved(picture(), "TIFF"))
    first = int.from_bytes(looped[4:8], "little")
    entries = int.from_bytes(looped[first : first + 2], "little")
    looped[first + 2 + 12 * entries : first + 6 + 12 * entries] = first.to_bytes(4, "little")
    heic = saved(picture(64, 48), "HEIF", quality=60)
    packed_zeros = zlib.compress(bytes(60 << 20), 9)
    deep_boxes = b""
    for _ in range(2000):
        deep_boxes = box(b"moov", deep_boxes)
    gif = saved(picture(8, 8).convert("P"), "GIF")
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x4c\x01\x00"
    return {
        "claims-60000.png": png_with(width=60_000, height=60_000),
        "claims-65535.gif": b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\2\0;",
        "claims-65500.jpg": jpeg.replace(b"\xff\xc0\x00\x11\x08\0\x28\0\x30", b"\xff\xc0\x00\x11\x08\xff\xdc\xff\xdc"),
        "text-bomb.png": png_with(chunk(b"zTXt", b"a\0\0" + packed_zeros)),
        "profile-bomb.png": png_with(chunk(b"iCCP", b"a\0\0" + packed_zeros)),
        "pixels-bomb.png": png[:33] + chunk(b"IDAT", packed_zeros) + chunk(b"IEND", b""),
        "cut-off.jpg": jpeg[: len(jpeg) // 2],
        "cut-off.heic": heic[: len(heic) // 2],
        "a-png.jpg": png,
        "a-page.jpg": b"<!DOCTYPE html><html><body><script>alert(1)</script></body></html>",
        "a-drawing.jpg": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><image href="file:///etc/passwd"/></svg>',
        "a-program.jpg": b"\x7fELF\x02\x01\x01" + bytes(60),
        "and-a-zip.jpg": jpeg + _zip({"inside.txt": b"x"}),
        "and-a-page.gif": gif + b"<script>alert(1)</script>",
        "moving.webp": saved(picture(), "WEBP", save_all=True, append_images=[picture().rotate(90)]),
        "ten-thousand-frames.gif": gif[:-1] + frame * 12_000 + b";",
        "four-inks.jpg": saved(picture().convert("CMYK"), "JPEG"),
        "sixteen-bits.png": saved(Image.fromarray((np.arange(1920).reshape(40, 48) * 33).astype(np.uint16)), "PNG"),
        "turned-999.jpg": saved(picture(), "JPEG", exif=turned),
        "looped.tif": bytes(looped),
        "odd-profile.jpg": saved(picture(), "JPEG", icc_profile=b"\0\0\0\x20" + b"\xff" * 200),
        "lab-profile.jpg": saved(
            picture(), "JPEG", icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
        ),
        "only-a-type.heic": heic[: int.from_bytes(heic[:4], "big")],
        "deep-boxes.heic": heic[: int.from_bytes(heic[:4], "big")] + deep_boxes,
        "endless-box.heic": heic[: int.from_bytes(heic[:4], "big")] + box(b"meta", b"\0" * 40, 0xFFFFFFF0),
    }


def videos() -> dict[str, bytes]:
    """Files that are given as videos."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="mov") as container:
        stream: Any = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for number in range(4):
            pixels = np.asarray(picture(64, 48).rotate(20 * number))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    sound = file.getvalue()
    at = sound.index(b"stsd") + 12
    huge = bytearray(sound)
    huge[at + 36 : at + 40] = b"\xff\xff\xff\xff"
    endless = bytearray(sound)
    for name, place in ((b"mvhd", 16), (b"mdhd", 16)):
        where = endless.index(name) + 4 + place
        endless[where : where + 4] = b"\x7f\xff\xff\xff"
    return {
        "claims-65535.mov": bytes(huge),
        "claims-years.mov": bytes(endless),
        "frames-claim-65500.mov": sound.replace(b"\x08\0\x30\0\x40\x03", b"\x08\xff\xdc\xff\xdc\x03"),
        "a-playlist.mp4": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n",
        "a-list.mp4": b"ffconcat version 1.0\nfile /etc/passwd\n",
        "cut-off.mov": sound[: len(sound) // 2],
        "only-a-type.mp4": box(b"ftyp", b"isom\0\0\2\0isomiso2"),
    }


def _zip(files: dict[str, bytes], **more: Any) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            info.external_attr = more.get("attributes", 0o644) << 16
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def _tar(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size, info.type, info.linkname = len(content), kind, link
        tar.addfile(info, io.BytesIO(content))
    return file.getvalue()[:3072]


def archives() -> dict[str, bytes]:
    """Files that are given as archives of a data set."""
    whole = _zip({"a.txt": b"x"})
    claims = bytearray(whole)
    directory = claims.index(b"PK\x01\x02")
    claims[directory + 24 : directory + 28] = b"\xfe\xff\xff\xff"
    pax = tarfile.TarInfo("pax")
    pax.type, pax.size = tarfile.XHDTYPE, 3 << 30
    locked = bytearray(whole)
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        locked[locked.index(mark) + place] |= 1
    double = io.BytesIO()
    with tarfile.open(fileobj=double, mode="w") as tar:
        for name, kind, link in (("d", tarfile.SYMTYPE, "/tmp"), ("d/x.txt", tarfile.REGTYPE, "")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, link
            tar.addfile(info)
    return {
        "slip.zip": _zip({"../out.txt": b"x"}),
        "slip-windows.zip": _zip({"..\\out.txt": b"x"}),
        "rooted.zip": _zip({"/tmp/out.txt": b"x"}),
        "drive.zip": _zip({"C:/out.txt": b"x"}),
        "link.zip": _zip({"link": b"/etc/passwd"}, attributes=0o120777),
        "locked.zip": bytes(locked),
        "zeros.zip": _zip({"zeros": bytes(100 << 20)}),
        "claims-4-gib.zip": bytes(claims),
        "slip.tar": _tar("a/../../out.txt", b"x"),
        "rooted.tar": _tar("/tmp/out.txt", b"x"),
        "link.tar": _tar("link", kind=tarfile.SYMTYPE, link="/etc/passwd"),
        "link-then-file.tar": double.getvalue()[:2048],
        "hard-link.tar": _tar("link", kind=tarfile.LNKTYPE, link="/etc/passwd"),
        "device.tar": _tar("zero", kind=tarfile.CHRTYPE),
        "pipe.tar": _tar("pipe", kind=tarfile.FIFOTYPE),
        "zeros.tar.gz": gzip.compress(_tar_of_zeros(), 9, mtime=0),
        "name-bomb.tar.gz": gzip.compress(pax.tobuf(tarfile.PAX_FORMAT) + bytes(80 << 20), 9, mtime=0),
    }


def _tar_of_zeros() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        info = tarfile.TarInfo("zeros")
        info.size = 100 << 20
        tar.addfile(info, io.BytesIO(bytes(info.size)))
    return file.getvalue()


class Code:
    """What makes the file MARK where it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (MARK,)


def pickles() -> dict[str, bytes]:
    """Files with code that runs where they are unpickled."""
    objects = np.empty(1, object)
    objects[0] = Code()
    parts = io.BytesIO()
    np.savez(parts, facts=objects, weights=objects, identities=objects, vectors=objects, faces=objects, crops=objects)
    alone = io.BytesIO()
    np.save(alone, objects, allow_pickle=True)
    state = io.BytesIO()
    with zipfile.ZipFile(state, "w") as archive:  # as torch writes it
        archive.writestr("archive/data.pkl", pickle.dumps({"w": Code()}, protocol=2))
        archive.writestr("archive/version", "3\n")
    by_name = f"cbuiltins\nexec\n(S'import os; os.mkdir(\"{MARK}\")'\ntR.".encode()
    return {
        "code.pickle": pickle.dumps({"encodings": [Code()], "names": ["Ann"]}, protocol=4),
        "code-old.pickle": by_name,
        "code-by-instance.pickle": f"(S'{MARK}'\nios\nmkdir\n.".encode(),
        "code-by-array.pickle": pickle.dumps((objects, ["Ann"]), protocol=2),
        "code.npz": parts.getvalue(),
        "code.npy": alone.getvalue(),
        "code.ckpt": state.getvalue(),
        "code-old.ckpt": pickle.dumps({"w": Code()}, protocol=2),
    }


def texts() -> dict[str, bytes]:
    """Settings, cards, tables and messages."""
    return {
        "deep.json": b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
        "deep-lists.json": b"[" * 100_000,
        "deep.toml": b"a = " + b"[" * 5_000 + b"]" * 5_000,
        "long-number.toml": b"threads = " + b"9" * 5_000,
        "long-number.json": b'{"a": ' + b"9" * 5_000 + b"}",
        "not-a-number.json": b'{"a": NaN}',
        "wide-cell.csv": b"path,identity\n" + b"x" * 200_000 + b",Ann\n",
        "leaves.csv": b"path,identity\n../../etc/passwd,Ann\n/etc/passwd,Bea\n",
        "formula.csv": b'path,identity\na.jpg,"=HYPERLINK(""http://example.org"")"\n',
        "no-text.csv": b"path,identity\n\xff\xfe\x00,Ann\n",
    }


MANIFEST: dict[str, Any] = {
    "format": 1,
    "name": "hostile",
    "version": "1",
    "role": "embedder",
    "engine": "aligned-crop",
    "summary": "what nobody should load",
    "files": {},
    "input": {"side_px": 8},
    "alignment": {"template_px": [[2, 3], [6, 3], [4, 4], [3, 6], [5, 6]]},
    "embedding": {"dimension": 4, "space": "hostile"},
    "licence": {"code": "MIT", "weights": "MIT", "data": "none"},
}


def bundles() -> dict[str, dict[str, bytes]]:
    """Folders that are given as model bundles, by name: their files."""

    def bundle(network: bytes, listed: str = "model.onnx", **manifest: Any) -> dict[str, bytes]:
        entry = {"path": listed, "sha256": hashlib.sha256(network).hexdigest(), "bytes": len(network)}
        text = json.dumps(MANIFEST | {"files": {"model": entry}} | manifest)
        return {"model.onnx": network, "manifest.json": text.encode()}

    plain, deep = network(), b'{"parameters":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001
    return {
        "listed-outside": bundle(plain, "../model.onnx"),
        "listed-by-root": bundle(plain, "/etc/passwd"),
        "engine-of-python": bundle(plain, engine="os:system"),
        "deep-parameters": {"manifest.json": deep, "model.onnx": plain},
        "weights-outside": bundle(network(weights_at="../secret.bin")),
        "weights-by-root": bundle(network(weights_at="/etc/passwd")),
        "weights-beside": bundle(network(weights_at="beside.bin")) | {"beside.bin": bytes(3072)},
        "own-operator": bundle(network(operator=("ai.onnx.contrib", "PyOp"))),
        "another-dimension": bundle(network(numbers=7)),
        "no-numbers": bundle(network(fill=float("nan"))),
        "other-inputs": bundle(network(takes="pixels")),
        "not-a-network": bundle(b"\x08\x08" + bytes(100)),
    }


def network(
    *,
    weights_at: str = "",
    operator: tuple[str, str] = ("", "MatMul"),
    numbers: int = 4,
    fill: float = 0.5,
    takes: str = "faces",
) -> bytes:
    """A network that takes crops of 8 x 8 and gives embeddings, but for what is asked."""
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(np.full((192, numbers), fill, np.float32), "w")
    if weights_at:
        weights.ClearField("raw_data")
        weights.data_location = TensorProto.EXTERNAL
        for key, value in (("location", weights_at), ("offset", "0"), ("length", str(192 * numbers * 4))):
            entry = weights.external_data.add()
            entry.key, entry.value = key, value
    domain, kind = operator
    graph = helper.make_graph(
        [
            helper.make_node("Cast", [takes], ["f"], to=TensorProto.FLOAT),
            helper.make_node("Flatten", ["f"], ["flat"], axis=1),
            helper.make_node(kind, ["flat", "w"], ["embeddings"], domain=domain),
        ],
        "g",
        [helper.make_tensor_value_info(takes, TensorProto.UINT8, ["n", 8, 8, 3])],
        [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["n", numbers])],
        [weights],
    )
    sets = [helper.make_opsetid("", 13)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    made: bytes = helper.make_model(graph, opset_imports=sets, ir_version=8).SerializeToString()
    return made


MAKERS: dict[str, Callable[[], dict[str, bytes]]] = {
    "photos": photos,
    "videos": videos,
    "archives": archives,
    "pickles": pickles,
    "texts": texts,
}


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else OUT
    for folder, maker in MAKERS.items():
        for name, content in maker().items():
            (out / folder).mkdir(parents=True, exist_ok=True)
            (out / folder / name).write_bytes(content)
    for name, files in bundles().items():
        (out / "bundles" / name).mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            (out / "bundles" / name / file).write_bytes(content)


if __name__ == "__main__":
    main()
