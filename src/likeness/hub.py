"""Hugging Face repositories of models and data sets: the one place that talks to a hub."""
