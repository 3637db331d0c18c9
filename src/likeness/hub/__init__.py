"""Hugging Face hubs: repositories of models and data sets."""

from likeness.hub.client import SCHEME, Hub, Kind, RemoteFile, Repository, open_hub
from likeness.hub.failures import remote_errors

__all__ = ["SCHEME", "Hub", "Kind", "RemoteFile", "Repository", "open_hub", "remote_errors"]
