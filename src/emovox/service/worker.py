"""One process of the service: opens the model, then serves on sockets that it was given."""

import logging
import socket
from collections.abc import Callable, MutableSequence

import numpy as np
from uvicorn import Config, Server

from emovox.audio.waveform import Waveform
from emovox.recognition.recognizer import Recognizer
from emovox.service.app import create_app
from emovox.service.connections import MAX_HEAD_BYTES, make_protocols
from emovox.service.metrics import Metrics
from emovox.service.settings import ServiceSettings

MAX_FRAME_BYTES = 256 * 2**10
"""Largest WebSocket message: 8 s of 16-bit samples at 16 kHz."""


def load_recognizer(settings: ServiceSettings) -> Recognizer:
    """Open the model and speech detector on one thread, and run both once."""
    recognizer = Recognizer.load(settings.model, threads=1)
    noise = 0.01 * np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    waveform = Waveform(noise, 16_000)
    recognizer.has_speech(waveform)
    recognizer.score_waveform(waveform)
    return recognizer


def make_server(settings: ServiceSettings, recognizer: Recognizer, metrics: Metrics) -> Server:
    """Return a server that has not been started."""
    app, _ = create_app(recognizer, settings, metrics)
    http, websocket = make_protocols(settings.limits)
    proxies = list(settings.trusted_proxies)
    config = Config(
        app,
        loop="asyncio",
        http=http,
        ws=websocket,
        ws_max_size=MAX_FRAME_BYTES,
        # A stream that is throttled reads no pong; it has time limits of its own.
        ws_ping_interval=None,
        ws_per_message_deflate=False,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        lifespan="on",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies or None,
        timeout_graceful_shutdown=round(settings.limits.shutdown_s),
    )
    return Server(config)


def run_worker(
    settings: ServiceSettings,
    sockets: list[socket.socket],
    memory: MutableSequence[float],
    row: int,
    tell_ready: Callable[[], None],
) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is in flight.

    Args:
        settings: All settings.
        sockets: Listening sockets.
        memory: Counters of all processes.
        row: Number of this process.
        tell_ready: Called once requests can be taken.
    """
    # Its warnings are about requests, of which a hostile client can send any number.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    recognizer = load_recognizer(settings)
    server = make_server(settings, recognizer, Metrics(memory, row))
    tell_ready()
    server.run(sockets)
