"""Recipes: all settings of a training run, typed and validated, and the bundled recipes."""
