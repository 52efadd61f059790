"""What all benchmarks share: environments, workers that take turns, results, and how these are shown."""
