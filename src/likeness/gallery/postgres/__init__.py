"""Galleries on PostgreSQL with pgvector: `postgresql://user:password@host/database?gallery=name`."""

from likeness.errors import ExtraMissing

try:
    from likeness.gallery.postgres.gallery import PostgresGallery, open_postgres
except ImportError as error:
    if str(error.name).startswith("likeness"):
        raise  # a fault of this code
    raise ExtraMissing(f"galleries on PostgreSQL need {error.name}", hint="pip install 'likeness[postgres]'") from error

__all__ = ["PostgresGallery", "open_postgres"]
