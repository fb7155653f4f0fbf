"""Predictions to scores, intervals and verdicts: arrays in, numbers out, no files."""
