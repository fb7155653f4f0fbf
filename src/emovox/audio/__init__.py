"""Audio input: decodes any source to a validated waveform, and finds recordings in folders.

    sources -> containers -> load -> waveform

``folders`` searches folders, and lists the supported file name suffixes.
"""
