"""Perturbations of recordings: pure functions ``(samples, rate_hz, ...) -> samples``.

    levels    gain, clipping, filters, noise mixed in at a given SNR
    timing    zeros before and after, cropping, speed
    noises    tones, white and coloured noise
    babble    other people talking
    environment  wind, a machine, rain, steps, beeps
    codecs    encoding and decoding with MP3, Opus, AMR and G.711; a poor telephone line
    rooms     synthesised impulse responses
    definition the type of a stress test
    catalogue every test of ``emovox stress`` by name, with definition, thresholds and public models

Samples are float32 of shape ``(samples,)`` with full scale at 1, as in ``emovox.audio.load``.
Randomness comes from a generator argument. Definitions marked "ser-tests" are those of
https://github.com/audEERING/ser-tests, which gives lengths in samples at 16 kHz.
"""
