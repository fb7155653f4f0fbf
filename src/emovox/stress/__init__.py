"""Stress tests: clips perturbed in every way of the catalogue, and how predictions change."""
