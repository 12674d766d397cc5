"""Inference engines, one file each. Importing one is light; the engine itself is imported in ``open``."""
