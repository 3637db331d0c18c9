"""Photos that arrive by themselves: storage, events, queues, and the workers that answer."""

STEPS = ("detect", "identify", "enrol", "tell")
"""The steps of the pipeline; each takes its messages from the queue of its name."""
