"""Preference pairs that keep their prior noise: generation, the store, labels, and the view that training sees."""
