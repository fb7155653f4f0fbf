"""What the world does to a recording: pure functions ``(samples, rate_hz, ...) -> samples``.

    levels    gain, clipping, filters, a noise mixed in at a given ratio
    timing    zeros before and after, cropping, speed
    noises    tones, white and coloured noise
    babble    other people talking
    environment  wind, a machine, rain, steps, beeps
    codecs    MP3, Opus, AMR and G.711 there and back; a bad telephone line
    rooms     synthesised impulse responses
    definition what a stress test is
    catalogue every test of ``emovox stress`` by name, with its definition, threshold and peers

Samples are float32 of shape ``(samples,)`` with full scale at 1, as in :mod:`emovox.audio.load`.
Whatever is random comes from a passed generator. The definitions with "ser-tests" are those of
https://github.com/audEERING/ser-tests, whose numbers of samples are at 16 kHz.
"""
