"""Stress tests: perturb clips with every perturbation of the catalogue, and score predictions."""
