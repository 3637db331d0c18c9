"""What a report's reader should know before trusting it: weaknesses of the model, and of the measurement, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

FEW_PEOPLE = 50
WIDE = 0.05
MISCALIBRATED = 0.03
RATE_OFF = 2.0
GAP = 1.5


def find_weaknesses(figures: Mapping[str, Any]) -> list[str]:
    """Sentences, the measurement's own weaknesses first."""
    return [
        *_of_verification(figures["verification"]),
        *_of_identification(figures["identification"]),
        *_of_probabilities(figures.get("probabilities")),
        *_of_groups(figures.get("groups")),
        *_of_classes(figures.get("classes")),
    ]


def data_weaknesses(data: Mapping[str, Any]) -> list[str]:
    """Sentences about the data that was measured on."""
    found = []
    if data["people"] < FEW_PEOPLE:
        found.append(f"Only {data['people']} people: another set of people may give quite other figures.")
    if data["most_photos_of_one_person"] > data["photos"] / 4:
        found.append(
            f"One person has {data['most_photos_of_one_person']:,} of {data['photos']:,} photos, which weighs on every "
            "figure that counts photos alike; verification counts people alike."
        )
    if data["unreadable"]:
        found.append(f"Not readable: {_counted(data['unreadable'], 'crop')}, which count as errors.")
    if data.get("refused_when_cropped"):
        found.append(
            f"Of the whole data set {_counted(data['refused_when_cropped'], 'photo')} gave no crop; "
            "no figure here knows of that."
        )
    if data.get("people_also_in_train"):
        found.append(
            f"{data['people_also_in_train']:,} of the {data['people']:,} people are also in the split train: "
            "a model that was trained on it looks better here than it is."
        )
    if data["split"] in ("train", "all"):
        found.append("If the model was trained on people of this data set, these figures flatter it.")
    return found


def _of_verification(found: Mapping[str, Any]) -> Iterator[str]:
    if found["refused_rates"]:
        rates = ", ".join(f"{float(rate):g}".replace("e-0", "e-") for rate in found["refused_rates"])
        yield (
            f"{found['impostor_pairs']:,} impostor pairs say nothing of false-match rates of {rates}: fewer than 30 "
            "false matches would be behind them."
        )
    if found["accuracy"] is None:
        yield "There are too few people for folds, so there is no accuracy on people apart from the threshold's."
    accuracy = found["accuracy_interval"]
    if accuracy is not None and accuracy[1] - accuracy[0] > WIDE:
        yield (
            f"The 95% interval of the accuracy is {accuracy[1] - accuracy[0]:.1%} wide: "
            "differences below that mean nothing."
        )
    if found["pairs_without_a_face"]:
        yield f"Without a usable face: {_counted(found['pairs_without_a_face'], 'pair')}, which count as errors."
    if found["pairs_left_out"]:
        yield f"Left out, as of other splits: {_counted(found['pairs_left_out'], 'pair')} of the file."


def _of_identification(found: Mapping[str, Any]) -> Iterator[str]:
    opened = found["open"]
    if opened is None:
        return
    if opened["rough_rates"]:
        yield (
            f"{opened['strangers']:,} strangers are few for an FPIR of "
            f"{' and '.join(opened['rough_rates'])}: those rates are rough."
        )
    default = opened.get("default")
    if default is not None:
        if default["false_positive_identification_range"][0] > default["fpir_promised"]:
            yield (
                f"At its own default the model names {default['false_positive_identification_rate']:.1%} of strangers, "
                f"more than the {default['fpir_promised']:.1%} that it promises."
            )
        if default["wrong_person_rate"] > 0.01:
            yield f"At its own default {default['wrong_person_rate']:.1%} of enrolled people are taken for others."


def _of_probabilities(found: Mapping[str, Any] | None) -> Iterator[str]:
    if found is None:
        return
    if found["honest"] is False:
        yield (
            f"{found['people_shared']:,} of these people also fitted the calibration: "
            "its probabilities look better here than they are."
        )
    elif found["honest"] is None:
        yield "The calibration does not say whom it was fitted on, so its probabilities cannot be called honest here."
    if found["expected_calibration_error"] > MISCALIBRATED:
        yield f"Stated probabilities are off by {found['expected_calibration_error']:.1%} on average."
    for row in found["false_match_rates"]:
        if row["matched"] >= 30 and row["observed"] > RATE_OFF * row["stated"]:
            yield (
                f"At the threshold stated for a false-match rate of {row['stated']:g}, "
                f"{row['observed']:.2g} of impostor pairs match."
            )


def _of_groups(found: Mapping[str, Any] | None) -> Iterator[str]:
    for label, table in (found["labels"] if found else {}).items():
        rates = {name: group for name, group in table["groups"].items() if group["fmr"] is not None}
        if len(rates) < 2:
            continue
        worst = max(rates, key=lambda name: rates[name]["fmr"])
        best = min(rates, key=lambda name: rates[name]["fmr"])
        high, low = rates[worst]["fmr_interval"], rates[best]["fmr_interval"]
        # Said only where chance does not explain it: the intervals do not meet.
        if high and low and high[0] > low[1] and rates[worst]["fmr"] > GAP * rates[best]["fmr"]:
            yield (
                f"By {label}: strangers of {worst!r} match at a rate of {rates[worst]['fmr']:.2g}, those of {best!r} "
                f"at {rates[best]['fmr']:.2g}, at one threshold."
            )
        lame = min(rates, key=lambda name: rates[name]["tar"])
        good = max(rates, key=lambda name: rates[name]["tar"])
        below, above = rates[lame]["tar_interval"], rates[good]["tar_interval"]
        if below and above and below[1] < above[0]:
            yield (
                f"By {label}: people of {lame!r} are recognised in {rates[lame]['tar']:.1%} of pairs, those of "
                f"{good!r} in {rates[good]['tar']:.1%}."
            )


def _of_classes(found: Mapping[str, Any] | None) -> Iterator[str]:
    if found is not None and found["photos_of_others"]:
        yield (
            f"The classifier was asked about {found['photos']:,} photos of people it knows; "
            f"{found['photos_of_others']:,} others were left out, as it cannot say that it knows somebody not."
        )


def _counted(count: int, one: str) -> str:
    return f"{count:,} {one}" if count == 1 else f"{count:,} {one}s"
