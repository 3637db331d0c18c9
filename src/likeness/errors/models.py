"""Models and calibrations that cannot be used."""

from __future__ import annotations

from likeness.errors.base import LikenessError


class CalibrationError(LikenessError):
    """A calibration cannot be fitted, read or used."""

    code, exit_code, http_status = "calibration_invalid", 6, 422


class RateUnsupported(CalibrationError):
    """The false-match rate asked for is finer than the impostor pairs behind the calibration can promise."""

    code, exit_code = "false_match_rate_unsupported", 2


class ModelError(LikenessError):
    """A model bundle cannot be used."""

    code, exit_code, http_status = "model_unusable", 6, 500


class BundleCorrupt(ModelError):
    """A bundle's manifest is malformed, or a file's bytes are not the ones it lists."""

    code = "bundle_corrupt"


class WeightsMissing(ModelError):
    """The package that carries a model's published weights is not installed, or is another version."""

    code = "weights_missing"


class ExportFailed(ModelError):
    """A network cannot be written as a file of another format that gives the same embeddings."""

    code = "export_failed"


class StepRefused(ModelError):
    """A step of continual learning forgot more than its budget allows, and was not published."""

    code = "step_forgets"


class LicenceMissing(ModelError):
    """A bundle does not state the licence of its weights or of its training data, and is not published without."""

    code = "licence_missing"


class LicenceForbids(ModelError):
    """The settings allow commercial use only, and a bundle's licence forbids it or does not say."""

    code, http_status = "licence_forbids", 403


class ExtraMissing(ModelError):
    """An optional dependency that this work needs is not installed."""

    code = "extra_missing"
