"""The API: `likeness serve`. Needs the extra `serve`, except for keys."""
