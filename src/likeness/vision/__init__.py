"""Pixels to numbers: decode, detect, align, embed, quality."""
