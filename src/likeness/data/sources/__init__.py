"""Sources of photos: each turns one public folder format into rows."""

from likeness.data.sources.base import (
    Download,
    Listing,
    Skipped,
    Source,
    make_source,
    open_source,
    options_of,
    recognise,
    source_class,
    sources,
)

__all__ = [
    "Download",
    "Listing",
    "Skipped",
    "Source",
    "make_source",
    "open_source",
    "options_of",
    "recognise",
    "source_class",
    "sources",
]
