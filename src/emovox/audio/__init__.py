"""Audio input: decodes any source to validated samples, and finds recordings in folders.

    sources -> containers -> decode (libsndfile, FFmpeg, raw) -> blocks
            -> recording -> selection (tracks, channels) -> load -> waveform

``chunks``, ``ogg`` and ``mpeg`` check lengths. ``folders`` searches folders, and lists the
supported file name suffixes.
"""
