"""A report of continual learning as a page: what a step forgot, what it learnt, and how the steps went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from likeness.evaluate import pictures
from likeness.evaluate.tables import Page, Table, interval, share

COURSE = ("after step", "model", "people", "old people", "named", "found", "verification", "true accepts", "space")


def forgetting_page(report: Mapping[str, Any]) -> Page:
    """The page of a report of the kind `forgetting`."""
    word = "published" if report["published"] else "not published"
    return Page(
        title=f"{report['model']['name']}: step {report['step']}, {word}",
        subtitle=f"{report['data']['people']:,} people, {report['data']['photos']:,} photos learnt, "
        f"{report['exemplars']:,} of them exemplars, {report['held']:,} held · {report['date']}",
        headlines=_headlines(report),
        tables=[_lost(report), _learnt(report), course(report["steps"]), *_spread(report)],
        weaknesses=[*(f"{sentence[0].upper()}{sentence[1:]}." for sentence in report["over_budget"]), *_doubts(report)],
        footer=f"Likeness {report['likeness']}, seed {report['seed']}. Intervals are 95%, by drawing the people again "
        "(bootstrap). The page names nobody.",
    )


def losses(report: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """What may have been lost, in words, with `lost` and `lost_interval`; what was not measured is left out."""
    found = [("old people, rank-1", report["old_people"])]
    verified = report.get("verification")
    if verified:
        words = {"accuracy": "verification accuracy", "tar": "true accepts at FMR 0.01"}
        found += [(words[key], part) for key, part in verified["lost"].items()]
    found += [(f"old galleries, rank-1 of {who}", part) for who, part in report["old_galleries"].items()]
    return [(words, part) for words, part in found if part is not None]


def signed(value: float) -> str:
    """A difference of shares: `+1.20%`."""
    return f"{round(value, 6) + 0.0:+.2%}"  # never a minus before nothing


def course(steps: Sequence[Mapping[str, Any]], *, columns: tuple[str, ...] = COURSE) -> Table:
    """A row for the network that began and for each step since."""
    rows = []
    for at, step in enumerate(steps):
        verified = step.get("verification") or {}
        rows.append(
            (
                str(at) if at else "before",
                str(step["name"]),
                f"{step['people']:,}",
                share(step.get("old_people")),
                _each(step["named"]),
                _each(step["found"]),
                share(verified.get("accuracy")),
                share(verified.get("tar")),
                str(step["space"]),
            )
        )
    note = (
        "Old people: rank-1 of their held photos among everybody known after the step. Named: class accuracy on held "
        "photos of the people of each step, by the classifier over everybody known then; found: the nearest exemplar "
        "shows them. Later steps have more people to choose from."
    )
    return Table("The course of the steps", columns, rows, note)


def markdown(report: Mapping[str, Any]) -> str:
    """The tables of what was lost and of the course in Markdown."""
    parts = []
    for table in (_lost(report), _learnt(report), course(report["steps"])):
        lines = [table.columns, ("---",) * len(table.columns), *table.rows]
        rows = "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)
        parts.append(f"### {table.title}\n\n{rows}\n{table.note}\n")
    return "\n".join(parts)


def draw_forgetting(report: Mapping[str, Any]) -> dict[str, pictures.Picture]:
    """The pictures of a report of the kind `forgetting`."""
    found = {}
    if losses(report):
        found["losses"] = pictures.Picture(
            _bars(report), "What the step cost", "Losses with 95% intervals; beyond the line a step is not published."
        )
    if len(report["steps"]) > 1 and any(step["named"] for step in report["steps"]):
        found["course"] = pictures.Picture(
            _courses(report["steps"]),
            "The people of each step, later",
            "Class accuracy on their held photos. A line that falls is forgetting, or more people to choose from.",
        )
    return found


def _headlines(report: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    found = [
        (f"lost: {words}", signed(-part["lost"]), f"{signed(-high)} to {signed(-low)}")
        for words, part in losses(report)
        for low, high in [part["lost_interval"] or (part["lost"], part["lost"])]
    ]
    new = report["new_people"]
    return [*found, *([("new people, rank-1", share(new["after_rank_1"]), "")] if new else [])]


def _lost(report: Mapping[str, Any]) -> Table:
    rows = []
    for words, part in losses(report):
        low, high = part["lost_interval"] or (part["lost"], part["lost"])
        key = "tar" if "true" in words else "accuracy"
        if "before_rank_1" in part:
            before, after = part["before_rank_1"], part["after_rank_1"]
        else:
            figures = report["verification"]["figures"]
            before, after = figures[part["before"]][key], figures["new"][key]
        verdict = "over budget" if part["lost"] > report["budget"] + 1e-9 else "within"
        rows.append(
            (words, share(before), share(after), signed(part["lost"]), f"{signed(low)} to {signed(high)}", verdict)
        )
    note = (
        f"Budget {report['budget']:.2%}. The same photos and the same people to choose from, before and after; before "
        "is the better of the first and the previous network. Old galleries: photos enrolled by the first network, "
        "searched by the new one; beyond the budget the new network gets an embedding space of its own"
        + (", and here is refused." if report["keep_space"] else ".")
    )
    return Table("Forgotten", ("what", "before", "after", "lost", "95% interval", "budget"), rows, note)


def _learnt(report: Mapping[str, Any]) -> Table:
    new = report["new_people"]
    rows = []
    if new:
        low, high = new["lost_interval"]
        rows.append(
            (
                "new people, rank-1",
                share(new["before_rank_1"]),
                share(new["after_rank_1"]),
                signed(-new["lost"]),
                f"{signed(-high)} to {signed(-low)}",
            )
        )
    last = report["steps"][-1]["named"].get(str(report["step"]))
    rows.append(("new people, named by the classifier", "—", share(last), "", ""))
    note = "Before: the previous network with the new people enrolled and nothing learnt."
    return Table("Learnt", ("what", "before", "after", "gain", "95% interval"), rows, note)


def _spread(report: Mapping[str, Any]) -> list[Table]:
    """Chaudhry's forgetting, where there are two steps to speak of."""
    rows = []
    for key, words in (("named", "named by the classifier"), ("found", "found by the nearest exemplar")):
        part = report["forgetting"][key]
        if part is None:
            continue
        ends = part["interval"]
        each = ", ".join(f"step {step}: {signed(value)}" for step, value in part["of_steps"].items())
        rows.append((words, signed(part["mean"]), "" if ends is None else interval(ends), each))
    if not rows:
        return []
    note = (
        "Of the people of each earlier step the best accuracy so far less that of today, averaged over the steps "
        "(Chaudhry et al. 2018). Beside the network it counts that there are more people to choose from."
    )
    return [Table("Forgetting over the steps", ("accuracy", "mean", "95% interval", "of the people of"), rows, note)]


def _doubts(report: Mapping[str, Any]) -> list[str]:
    found = []
    old = report["old_people"]
    if old is None:
        found.append("Nobody was known before with photos held back: what was forgotten of old people is not measured.")
    elif old["people"] < 20:
        found.append(f"Only {old['people']} old people have held photos: a small loss cannot be seen.")
    if not report.get("verification"):
        found.append("Verification was not measured: --verify names people who are never learnt.")
    if report["same_space"] is False and not report["old_galleries"]:
        found.append("Nobody could be searched in an old gallery, so the embedding space counts as a new one.")
    return found


def _each(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{step}: {share(value)}" for step, value in shares.items()) or "—"


def _bars(report: Mapping[str, Any]) -> bytes:
    found = losses(report)

    def plot(axes: Any) -> None:
        for place, (_, part) in enumerate(found):
            low, high = part["lost_interval"] or (part["lost"], part["lost"])
            colour = pictures.RED if part["lost"] > report["budget"] + 1e-9 else pictures.GREEN
            axes.plot([low * 100, high * 100], [place, place], color=colour, lw=3, alpha=0.5)
            axes.scatter([part["lost"] * 100], [place], color=colour, zorder=3)
        axes.axvline(report["budget"] * 100, color=pictures.RED, ls=":", label=f"budget {report['budget']:.1%}")
        axes.axvline(0, color=pictures.GREY, lw=0.8)
        axes.set_yticks(range(len(found)), [words for words, _ in found])
        axes.set(xlabel="lost, in points of a percentage", ylim=(len(found) - 0.5, -0.5))
        axes.legend(fontsize=9)

    return pictures.figure(plot, size=(7.2, 1.6 + 0.45 * len(found)))


def _courses(steps: Sequence[Mapping[str, Any]]) -> bytes:
    groups = sorted({int(group) for step in steps for group in step["named"]})

    def plot(axes: Any) -> None:
        for place, group in enumerate(groups):
            at = [number for number, step in enumerate(steps) if str(group) in step["named"]]
            values = [steps[number]["named"][str(group)] * 100 for number in at]
            colour = pictures.SEVERAL[place % len(pictures.SEVERAL)]
            label = f"people of step {group}" if group else "people known before"
            axes.plot(at, values, color=colour, lw=2, marker="o", ms=5, label=label)
        axes.set_xticks(range(len(steps)))
        axes.set(xlabel="after step", ylabel="named rightly, % of held photos")
        axes.legend(fontsize=9)

    return pictures.figure(plot)
