"""Whole experiments: recipes under protocols, to finished run folders, and what follows.

    folds -> train_and_test -> finished

``reproduce`` and ``sweep`` run several of them.
"""
