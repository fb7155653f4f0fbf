"""Explain predictions by regions of the recording: occlusion -> regions -> plot -> page."""
