"""The worker: one job in a fresh interpreter, beside the engine and nothing else."""
