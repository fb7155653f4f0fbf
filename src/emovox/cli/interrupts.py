"""Handle Ctrl-C while a C library calls back into Python.

libsndfile reads through Python callbacks, and an exception cannot propagate out of them: Python
prints it and continues, with a recording that seems cut short. The interrupt is therefore stored
here, and raised again at the next opportunity.
"""

import sys

_lost: list[type[BaseException]] = []


def catch_lost_interrupts() -> None:
    """Store interrupts raised in callbacks, instead of printing them."""
    sys.unraisablehook = remember_interrupt


def remember_interrupt(unraisable: "sys.UnraisableHookArgs") -> None:
    """Store an interrupt; print any other exception as usual."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        _lost.append(unraisable.exc_type)
    else:
        sys.__unraisablehook__(unraisable)


def raise_lost_interrupt() -> None:
    """Raise KeyboardInterrupt if a callback was interrupted since the last call."""
    if _lost:
        _lost.clear()
        raise KeyboardInterrupt
