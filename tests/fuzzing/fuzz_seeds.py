"""Sound files of every format that readers take from strangers: what the damage is done to."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import lzma
import pickle
import tarfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pillow_heif import register_heif_opener

from likeness.bundle import PACKAGED

register_heif_opener()
SAMPLES = Path(__file__).resolve().parent.parent.parent / "samples"


def picture(width: int = 48, height: int = 40) -> Image.Image:
    """Soft colours."""
    seed = np.random.default_rng(7).integers(30, 225, (4, 5, 3)).astype(np.uint8)
    return Image.fromarray(seed).resize((width, height), Image.Resampling.BICUBIC)


@cache
def photos() -> tuple[bytes, ...]:
    """Small photos of every kind, a photo with metadata, and one of a face."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "camera"
    plain = picture()
    kinds: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (plain, "JPEG", {"exif": exif}),
        (plain, "JPEG", {"progressive": True}),
        (plain.convert("CMYK"), "JPEG", {}),
        (plain, "PNG", {"exif": exif}),
        (plain.convert("P"), "PNG", {"transparency": 3}),
        (Image.fromarray((np.arange(40 * 48).reshape(40, 48) * 30).astype(np.uint16)), "PNG", {}),
        (plain, "WEBP", {"exif": exif}),
        (plain, "WEBP", {"save_all": True, "append_images": [plain.rotate(90), plain.rotate(180)]}),
        (plain, "AVIF", {}),
        (plain, "TIFF", {"exif": exif}),
        (plain, "TIFF", {"compression": "tiff_lzw"}),
        (plain.convert("CMYK"), "TIFF", {"compression": "tiff_adobe_deflate"}),
        (plain, "GIF", {"save_all": True, "append_images": [plain.rotate(90)]}),
        (plain, "BMP", {}),
        (plain, "HEIF", {"exif": exif.tobytes()}),
    ]
    return tuple(_saved(image, kind, options) for image, kind, options in kinds)


def _saved(image: Image.Image, kind: str, options: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@cache
def videos() -> tuple[bytes, ...]:
    """Clips of some frames in each kind of file and some codecs."""
    import av

    made = []
    for kind, codec in (
        ("mp4", "mpeg4"), ("mov", "mjpeg"), ("avi", "mpeg4"), ("webm", "libvpx"), ("mp4", "libx264"),
        ("matroska", "mjpeg"),
    ):  # fmt: skip
        file = io.BytesIO()
        with av.open(file, "w", format=kind) as container:
            stream: Any = container.add_stream(codec, rate=10)
            stream.width, stream.height = 64, 48
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            for number in range(6):
                frame = av.VideoFrame.from_image(picture(64, 48).rotate(20 * number))
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        made.append(file.getvalue())
    return tuple(made)


@cache
def archives() -> tuple[bytes, ...]:
    """A tar, plain and packed, and a ZIP, each with folders and files."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in (("a/b.txt", b"hello" * 40), ("a/ü.txt", b"x"), ("l" * 150 + ".txt", b"")):
            info = tarfile.TarInfo(name)
            info.size, info.pax_headers = len(content), {"comment": "c"}
            tar.addfile(info, io.BytesIO(content))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/b.txt", "hello" * 40)
        archive.writestr("a/c/d.jpg", photos()[0])
        archive.mkdir("empty")
    tar_bytes = plain.getvalue()[:10240]
    return tar_bytes, gzip.compress(tar_bytes, mtime=0), lzma.compress(tar_bytes), packed.getvalue()


@cache
def pickles() -> tuple[bytes, ...]:
    """Names and encodings in each common form and protocol."""
    vectors = np.random.default_rng(3).normal(0, 0.13, (3, 128))
    names = ["Ann", "Bea", "Cyd"]
    forms: list[Any] = [
        {"encodings": list(vectors), "names": names},
        (names, vectors.astype(np.float32)),
        list(zip(names, vectors.tolist(), strict=True)),
        {"Ann": [vectors[0], vectors[1]], "Bea": vectors[2]},
    ]
    return tuple(pickle.dumps(form, protocol) for form in forms for protocol in (0, 2, 4, 5))


def npz(**arrays: Any) -> bytes:
    """A NumPy archive, packed."""
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


@cache
def cuttings() -> tuple[bytes, ...]:
    """Faces cut out of a photo, as they lie between two steps; one file is packed, one has no face."""
    face = {
        "box": [1.0, 2.0, 30.0, 40.0],
        "landmarks": [[10, 10], [20, 10], [15, 15], [10, 20], [20, 20]],
        "score": 0.9,
        "quality": [0.8, ["small"], {"sharpness": 1.0}],
    }
    crops = np.zeros((2, 112, 112, 3), np.uint8)

    def facts(count: int) -> Any:
        text = json.dumps({"fit": "m", "size": [640, 480], "faces": [face] * count})
        return np.frombuffer(text.encode(), np.uint8)

    plain = io.BytesIO()
    np.savez(plain, facts=facts(2), crops=crops[:, :16, :16], attribute_crops=crops[:, :8, :8])
    return plain.getvalue(), npz(facts=facts(2), crops=crops), npz(facts=facts(0))


@cache
def networks() -> tuple[bytes, ...]:
    """Small networks that take crops of 8 x 8 and give embeddings of 4."""
    from onnx import TensorProto, helper, numpy_helper

    rows = np.random.default_rng(1).normal(size=(192, 4)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["faces"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["f"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "w"], ["embeddings"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("faces", TensorProto.UINT8, ["n", 8, 8, 3])],
        [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(rows, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return (model.SerializeToString(),)


MANIFEST: dict[str, Any] = {
    "format": 1,
    "name": "small",
    "version": "1",
    "role": "embedder",
    "engine": "aligned-crop",
    "summary": "a small network",
    "files": {"model": {"path": "model.onnx", "sha256": "0" * 64, "bytes": 1}},
    "input": {"side_px": 8},
    "alignment": {"template_px": [[2, 3], [6, 3], [4, 4], [3, 6], [5, 6]]},
    "embedding": {"dimension": 4, "space": "small"},
    "licence": {"code": "MIT", "weights": "MIT", "data": "none"},
}


SMALL_FILE = b"no network, but a file"


def manifests() -> tuple[bytes, ...]:
    """Manifests of bundles; the first one's only file is `SMALL_FILE`, which lies beside it."""
    listed = {"path": "model.onnx", "sha256": hashlib.sha256(SMALL_FILE).hexdigest(), "bytes": len(SMALL_FILE)}
    whole = json.dumps(MANIFEST | {"files": {"model": listed}}).encode()
    shipped = [path.read_bytes() for path in sorted(PACKAGED.glob("*/manifest.json"))]
    return (whole, json.dumps(MANIFEST).encode(), *shipped)


def calibrations() -> tuple[bytes, ...]:
    """Calibrations of similarities, thinned out so that damage hits all of their parts."""
    data = json.loads((PACKAGED / "dlib-resnet-int8" / "calibration.json").read_bytes())
    thin = {name: value[:: len(value) // 8] if isinstance(value, list) else value for name, value in data.items()}
    return (json.dumps(thin).encode(),)


def attribute_calibrations() -> tuple[bytes, ...]:
    """Calibrations of age and gender."""
    return tuple(path.read_bytes() for path in PACKAGED.glob("*/attributes*.json"))


EVENTS: tuple[dict[str, Any], ...] = (
    {"uri": "s3://photos/a.jpg", "name": "Ann", "job": "j1"},
    {"Event": "s3:TestEvent", "Bucket": "photos"},
    {
        "Records": [
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": "photos"}, "object": {"key": "a+b%2Fc.jpg", "size": 10}},
            }
        ]
    },
    {
        "source": "aws.s3",
        "detail-type": "Object Created",
        "detail": {"bucket": {"name": "photos"}, "object": {"key": "a b.jpg"}},
    },
    {"Type": "Notification", "Message": '{"Records": [{"eventName": "ObjectCreated:Put", "s3": {}}]}'},
)

DUMP = rb"""--
COPY public.model (id, name, guid, app_id, api_key, type) FROM stdin;
1	service	g	1	key-1	RECOGNITION
\.
COPY public.subject (id, api_key, subject_name) FROM stdin;
s1	key-1	Ann \\ Lee
\.
COPY public.embedding (id, subject_id, embedding, calculator, img_id) FROM stdin;
e1	s1	{0.1,0.2}	Calculator	i1
e2	s1	{0.1,0.2}	Calculator	\N
\.
COPY public.img (id, content) FROM stdin;
i1	\\xffd8ffe0
\.
"""
