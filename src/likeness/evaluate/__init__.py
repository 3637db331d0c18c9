"""How good it is: protocols and metrics that work on any model bundle, and the fitting of calibrations."""
