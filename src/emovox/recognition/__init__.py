"""A waveform to an emotion, by a model file.

    session -> model_file -> voice_activity -> windows -> recognizer -> results

This is the runtime: nothing in it imports PyTorch, scikit-learn, matplotlib or pydantic.
"""
