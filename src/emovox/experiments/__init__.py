"""Whole experiments: train and test recipes under protocols, and evaluate finished runs.

    folds -> train_and_test -> finished

``reproduce`` and ``sweep`` run several of them.
"""
