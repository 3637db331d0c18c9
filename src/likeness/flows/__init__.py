"""Scheduled pipelines: plain functions that can be stopped anywhere, and thin files that Metaflow runs them by."""
