"""Data sets without torch: sources of photos, their manifest, crops, splits, triplets and exchange."""
