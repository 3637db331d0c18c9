"""Training, and the way out to a bundle: the only place that imports torch."""
