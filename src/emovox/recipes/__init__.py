"""Recipes: every setting of a training, typed and checked; and the recipes that ship."""
