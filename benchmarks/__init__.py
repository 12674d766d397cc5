"""What is claimed about this program, measured. Each module is one benchmark; ``run`` writes them into RESULTS.md."""
