"""The embedded gallery: one SQLite file, exact search in memory, an index beside it when it has grown."""

from likeness.gallery.embedded.gallery import EmbeddedGallery, open_embedded

__all__ = ["EmbeddedGallery", "open_embedded"]
