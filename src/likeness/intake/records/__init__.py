"""What is written down about arrivals; see `likeness.intake.records.store`."""

from __future__ import annotations

from likeness.intake.records.store import Records, open_records
from likeness.intake.records.values import Arrival, ArrivalJob, Result, Telling

__all__ = ["Arrival", "ArrivalJob", "Records", "Result", "Telling", "open_records"]
