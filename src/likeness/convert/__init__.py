"""Published weights in, model bundles out: what the day-one bundles were made by.

Needs the extra `weights` (the packages that carry them, and onnx). The sources are found without importing their
packages, and used only where their sha256 is the one in the catalogue.
"""
