"""Ctrl-C that strikes while a C library calls back into Python.

libsndfile reads through Python callbacks, and an exception in one of them cannot leave it: Python
prints it and goes on with a recording that seems cut short. So it is remembered here and raised
where that is possible again.
"""

import sys

_lost: list[type[BaseException]] = []


def catch_lost_interrupts() -> None:
    """Remember interrupts that a callback swallows, instead of printing them."""
    sys.unraisablehook = remember_interrupt


def remember_interrupt(unraisable: "sys.UnraisableHookArgs") -> None:
    """Keep an interrupt for later; anything else is printed as ever."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        _lost.append(unraisable.exc_type)
    else:
        sys.__unraisablehook__(unraisable)


def raise_lost_interrupt() -> None:
    """Raise an interrupt that a callback swallowed.

    Raises:
        KeyboardInterrupt: There was one since the last call.
    """
    if _lost:
        _lost.clear()
        raise KeyboardInterrupt
