"""Pieces of pages. Whatever comes from people, photos' names or sources of profiles is escaped here, and only here."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from likeness.errors import LikenessError
from likeness.server.failures import public_dict
from likeness.service.choosing import explain
from likeness.types import Decision, Face

_TEMPLATE_SIGNS = str.maketrans({"$": "&#36;", "{": "&#123;", "}": "&#125;", "`": "&#96;"})
"""Gradio fills its templates by these signs: a name may hold them without becoming one."""

TONES: dict[Decision, str] = {"match": "good", "unsure": "perhaps", "unknown": "none"}


def text(value: object) -> str:
    """Any text, for a place between tags or in an attribute's quotes."""
    return html.escape(str(value), quote=True)


def sealed(markup: str) -> str:
    """Markup that nobody takes for a template."""
    return markup.translate(_TEMPLATE_SIGNS)


def sentence(words: str) -> str:
    """Words of an error as a sentence."""
    return words and f"{words[:1].upper()}{words[1:]}{'' if words[-1] in '.!?…' else '.'}"


def card(*parts: str, title: str = "", kind: str = "") -> str:
    """A card with a title."""
    head = f"<h3>{text(title)}</h3>" if title else ""
    return f'<section class="lk-card {kind}">{head}{"".join(parts)}</section>'


def line(words: str, *, fine: bool = False) -> str:
    """A paragraph of plain words; nothing where there are none."""
    if not words:
        return ""
    return f'<p class="lk-fine">{text(words)}</p>' if fine else f"<p>{text(words)}</p>"


def tag(words: str, tone: str) -> str:
    """A few words that stand out; `tone` is good, perhaps, none or bad, and never the only bearer of a meaning."""
    return f'<span class="lk-tag lk-{tone}">{text(words)}</span>'


def empty(words: str) -> str:
    """What stands where an answer will be."""
    return sealed(f'<div class="lk-empty">{text(words)}</div>')


def error_card(error: LikenessError) -> str:
    """An error in plain words: what happened, and what to do."""
    public = public_dict(error)
    message = public["message"]
    words = line(sentence(message)), line(sentence(public.get("hint", "")), fine=True)
    return sealed(f'<div role="alert">{card(*words, title="That did not work", kind="lk-error")}</div>')


def unforeseen_card() -> str:
    """Said where nobody foresaw the error."""
    words = "Something unexpected happened. The server's log says where; try again, or ask whoever runs it."
    return f'<div role="alert">{card(line(words), title="That did not work", kind="lk-error")}</div>'


def picture(url: str, alt: str, size: str = "") -> str:
    """A face; a plain surface where there is none."""
    if not url:
        return f'<div class="lk-face {size}" role="img" aria-label="{text(alt)}: there is no picture"></div>'
    return f'<img class="lk-face {size}" src="{url}" alt="{text(alt)}" loading="lazy">'


def row(image: str, *words: str) -> str:
    """A picture with words beside it."""
    return f'<div class="lk-row">{image}<div class="lk-words">{"".join(words)}</div></div>'


def gallery(pictures: Iterable[tuple[str, str]], label: str) -> str:
    """Small pictures (address and alternative text) in a list."""
    items = "".join(f"<li>{picture(url, alt, 'lk-small')}</li>" for url, alt in pictures)
    return f'<ul class="lk-faces" aria-label="{text(label)}">{items}</ul>' if items else ""


def facts(pairs: Iterable[tuple[str, object]]) -> str:
    """Labels with what belongs to them."""
    rows = "".join(f"<dt>{text(label)}</dt><dd>{text(value)}</dd>" for label, value in pairs)
    return f'<dl class="lk-facts">{rows}</dl>' if rows else ""


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of markup under plain heads."""
    head = "".join(f'<th scope="col">{text(each)}</th>' for each in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="lk-table"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def meter(share: float, label: str) -> str:
    """A bar for a share of 0 to 1, which is said in words too."""
    width = min(max(share, 0.0), 1.0) * 100
    return (
        f'<span class="lk-meter" role="img" aria-label="{text(label)}"><span style="width:{width:.1f}%"></span></span>'
    )


def more(summary: str, *parts: str) -> str:
    """What is shown when it is asked for."""
    return f"<details><summary>{text(summary)}</summary>{''.join(parts)}</details>"


def marked_photo(
    url: str, alt: str, size_px: tuple[int, int], faces: Sequence[Face], tags: Sequence[tuple[str, str]]
) -> str:
    """A photo with a box round each face and, at each box, its number and words; `tags` are words and tone."""
    width, height = size_px
    boxes = []
    for number, (face, (words, tone)) in enumerate(zip(faces, tags, strict=True), start=1):
        x1, y1, x2, y2 = face.box_xyxy_px
        x1, y1, x2, y2 = max(x1, 0.0), max(y1, 0.0), min(x2, width), min(y2, height)
        place = (
            f"left:{100 * x1 / width:.2f}%;top:{100 * y1 / height:.2f}%;"
            f"width:{100 * (x2 - x1) / width:.2f}%;height:{100 * (y2 - y1) / height:.2f}%"
        )
        label = f"{number} {words}".strip()
        boxes.append(f'<div class="lk-box lk-is-{tone}" style="{place}"><span>{text(label)}</span></div>')
    return f'<figure class="lk-photo"><img src="{url}" alt="{text(alt)}">{"".join(boxes)}</figure>'


def quality_line(face: Face) -> str:
    """What is wrong with a face as a picture, if anything."""
    return "" if face.quality.passes else line(f"A weak picture: the face is {explain(face.quality)}.", fine=True)


def profile_facts(profile: Mapping[str, Any]) -> str:
    """A profile as its owner wrote it."""
    pairs = [(key.replace("_", " "), _plain(value)) for key, value in profile.items()]
    return facts(pairs)


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)


def percent(share: float, digits: int = 1) -> str:
    """A share in percent, which no rounding makes 0 or 100."""
    value = 100 * share
    least = 10.0**-digits
    if value < least:
        return f"under {least:g}%"
    if value > 100 - least:
        return f"over {100 - least:g}%"
    return f"{value:.{digits}f}".rstrip("0").rstrip(".") + "%"


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 face`, `2 faces`, `3 people`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
