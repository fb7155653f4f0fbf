"""Switches off what dependencies would send about their use: the only place that does.

``emovox/__init__.py`` imports this module first, so the variables are set before any dependency is
imported, and processes that emovox starts inherit them. docs/privacy.md says what each one stops.
"""

import logging
import os
import sys

_log = logging.getLogger(__name__)

SWITCHES = {
    "DO_NOT_TRACK": "1",
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "HF_XET_TELEMETRY_ENABLED": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Not dependencies today. Programs that use emovox next to them may have them installed.
    "GRADIO_ANALYTICS_ENABLED": "False",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""Environment variables, with the value that each program documents for "off"."""

OFF = ("1", "true", "yes", "on", "y")
"""Values of ``ORT_DISABLE_TELEMETRY`` that switch onnxruntime's usage events off."""

_events_may_be_on = False


def switch_off() -> None:
    """Set every switch that is not set, and remember if onnxruntime was imported without its own.

    A value that the user or the host program has set is kept.
    """
    global _events_may_be_on
    disabled = os.environ.get("ORT_DISABLE_TELEMETRY", "").lower() in OFF
    _events_may_be_on = "onnxruntime" in sys.modules and not disabled
    for name, value in SWITCHES.items():
        if not os.environ.get(name):
            os.environ[name] = value


def warn_of_usage_events() -> None:
    """Log, once, that onnxruntime may send usage events because it was imported before emovox."""
    global _events_may_be_on
    if _events_may_be_on:
        _events_may_be_on = False
        _log.warning(
            "onnxruntime was imported before emovox and may send usage events; import emovox "
            "first, or set ORT_DISABLE_TELEMETRY=1 before the program starts"
        )
