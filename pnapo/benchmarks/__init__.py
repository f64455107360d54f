"""Benchmarks: test prompts, images of every run with the same noises, and the metrics measured on them."""
