"""Time and memory of the analysis, whole and by stage, beside what people use: `python -m benchmarks --help`."""
