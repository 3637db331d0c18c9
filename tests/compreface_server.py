"""CompreFace as it answers: subjects, faces in pages, their images; and a dump of its database as pg_dump writes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from answering_server import Asked, Reply

KEY = "1f348698-0000-4296-914e-000000000007"
OTHER_KEY = "2f348698-0000-4296-914e-000000000008"


@dataclass
class Collection:
    """A face collection: subjects with the bytes of their images by id (None: it was not saved)."""

    faces: dict[str, dict[str, bytes | None]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)

    def answer(self, asked: Asked) -> Reply:
        """What the REST API answers."""
        if asked.headers.get("x-api-key") != KEY:
            return Reply({"message": "Missing or wrong x-api-key", "code": 1}, 401)
        if asked.path == "/api/v1/recognition/subjects":
            return Reply({"subjects": list(self.faces)})
        if asked.path == "/api/v1/recognition/faces":
            return self._page(int(asked.query.get("page", 0)), int(asked.query.get("size", 20)))
        images = {f"/api/v1/recognition/faces/{name}/img": (name, data) for _, name, data in self._all()}
        if asked.path not in images:
            return Reply({"message": "not found", "code": 44}, 404)
        name, data = images[asked.path]
        return Reply(status=500) if name in self.broken else Reply(data or b"", headers={"Content-Type": "image/jpeg"})

    def _all(self) -> list[tuple[str, str, bytes | None]]:
        return [(subject, name, data) for subject, images in self.faces.items() for name, data in images.items()]

    def _page(self, page: int, size: int) -> Reply:
        size = min(size, 2)  # so that a few faces take several pages
        faces = [{"image_id": name, "subject": subject} for subject, name, _ in self._all()]
        return Reply(
            {
                "faces": faces[page * size : (page + 1) * size],
                "page_number": page,
                "page_size": size,
                "total_pages": -(-len(faces) // size),
                "total_elements": len(faces),
            }
        )


def dump(collections: Mapping[str, Collection], *, names: Mapping[str, str] | None = None) -> bytes:
    """The tables of CompreFace with these collections by key, in the order in which pg_dump writes them."""
    embeddings, images, subjects, models = [], [], [], []
    for number, (key, collection) in enumerate(collections.items()):
        models.append(f"{number}\t{(names or {}).get(key, 'service')}\tguid-{number}\t0\t{key}\tR\t\\N")
        for at, (subject, held) in enumerate(collection.faces.items()):
            subjects.append(f"s-{number}-{at}\t{key}\t{_escaped(subject)}")
            for name, data in held.items():
                numbers = "{" + ",".join(["0.03125"] * 4) + "}"
                image = "\\N" if data is None else name
                embeddings.append(f"e-{name}\ts-{number}-{at}\t{numbers}\tfacenet.Calculator\t{image}")
                if data is not None:
                    images.append(f"{name}\t\\\\x{data.hex()}")
    tables = [
        ("app", "id, name, guid, api_key", ["0\tapp\tguid\tkey"]),
        ("embedding", "id, subject_id, embedding, calculator, img_id", embeddings),
        ("img", "id, content", images),
        ("model", "id, name, guid, app_id, api_key, type, created_date", models),
        ("subject", "id, api_key, subject_name", subjects),
    ]
    text = "--\n-- PostgreSQL database dump\n--\n\nSET client_encoding = 'UTF8';\n\n"
    for table, _, _ in tables:
        text += f"CREATE TABLE public.{table} (\n    id uuid NOT NULL\n);\n\n"
    for table, columns, rows in tables:
        text += f"COPY public.{table} ({columns}) FROM stdin;\n" + "".join(f"{row}\n" for row in rows) + "\\.\n\n\n"
    return text.encode()


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
