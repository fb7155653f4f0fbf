"""Adapt a model file to a few labelled recordings: a new head, without PyTorch."""
