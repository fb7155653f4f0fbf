"""Which regions of a recording drove a prediction: occlusion -> regions -> plot -> page."""
