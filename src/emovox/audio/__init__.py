"""Sound in: any source decoded to one checked waveform, and the recordings in a folder.

    sources -> containers -> load -> Waveform

``folders`` has the one walker and the one list of endings.
"""
