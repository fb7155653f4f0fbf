"""Evaluation: predictions -> metrics and intervals -> comparison -> report."""
