"""Whether the new model is better than the one in force, on people whom neither learnt: the word, and the figures."""

from __future__ import annotations

from typing import Any

from likeness.bundle import Bundle
from likeness.data.dataset import Dataset
from likeness.evaluate.dataset import evaluate_dataset
from likeness.evaluate.report import read_report, write_report
from likeness.flows.learn import MEMORY, MODELS
from likeness.flows.order import FIGURES, Facts, Order
from likeness.flows.work import Work

REPORT = "report"
STEP, EVALUATION = "step", "evaluation"


def judge(work: Work) -> Facts:
    """Compare what was trained with the margin, and write the reports."""
    if not work.record.done["learn"]["trained"]:
        return {"better": False, "why": work.record.done["learn"]["why"]}
    from likeness.train.memory import STEPS

    step = read_report(max((work.folder / MEMORY / STEPS).glob(f"*/{REPORT}")))
    write_report(step, work.folder / REPORT / STEP)
    found = weigh(step, work.order)
    if step["published"]:
        state = work.home.state()
        data = Dataset.read(work.home.data(state.data))
        bundle = Bundle.read(work.folder / MODELS / work.record.model)
        with work.tell.watch("evaluating") as progress:
            cache = work.folder / "embeddings"
            whole = evaluate_dataset(bundle, data, cache=cache, progress=progress, settings=work.settings)
        write_report(whole, work.folder / REPORT / EVALUATION)
    return found


def weigh(step: dict[str, Any], order: Order) -> Facts:
    """The verdict on a step, from its report: figures of both models, the gain, and why it is (not) to be published."""
    words, key = FIGURES[order.figure], "equal_error_rate" if order.figure == "eer" else order.figure
    verified = step.get("verification") or {"figures": {}}
    before, after = (verified["figures"].get(name, {}).get(key) for name in ("previous", "new"))
    told: Facts = {
        "figure": order.figure,
        "before": before,
        "after": after,
        "margin": order.margin,
        "people": verified.get("people", 0),
        "lost": verified.get("lost", {}),
        "budget": order.budget,
        "same_space": step["same_space"],
    }
    if not step["published"]:
        return told | {"better": False, "why": f"it forgot more than it may: {'; '.join(step['over_budget'])}"}
    if before is None or after is None:
        return told | {"better": False, "why": f"{words} cannot be told of so few people"}
    gain = before - after if order.figure == "eer" else after - before
    better = gain > order.margin
    word = "better" if better else "not better"
    why = f"{words} went from {before:.2%} to {after:.2%}, {word} by more than the margin of {order.margin:.2%}"
    if better and not (step["same_space"] or order.new_space):
        better, why = False, "it cannot search the galleries of the model in force (--new-space allows that)"
    return told | {"better": better, "gain": gain, "why": why}
