"""Predict an emotion from a waveform with a model file.

    session -> model_file -> voice_activity -> windows -> recognizer -> results

This is the inference runtime: it never imports PyTorch, scikit-learn, matplotlib or pydantic.
"""
