"""Audio input: decodes any source to a validated waveform, and finds recordings in folders.

    sources -> containers -> load -> Waveform

``folders`` searches folders, and lists the supported file name suffixes.
"""
