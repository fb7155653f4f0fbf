"""Stress tests: clips perturbed in every way of the catalogue, and what models make of them."""
