"""nnx beside what a user would pick instead, row by row: `python -m benchmarks.suite --help`."""
