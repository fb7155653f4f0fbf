"""Use the service from Python: a recording, and a live stream.

    pip install requests websockets
    emovox serve
    python examples/client.py http://127.0.0.1:8000 call.wav

``EMOVOX_KEY`` holds the API key, if the service asks for one. Live streams need a WAV file here.
"""

import json
import os
import sys
import wave

import requests
from websockets.sync.client import connect

TIMEOUT_S = 180


def make_headers() -> dict[str, str]:
    """Return the headers that a request needs."""
    key = os.environ.get("EMOVOX_KEY")
    return {"Authorization": f"Bearer {key}"} if key else {}


def predict(url: str, path: str) -> None:
    """Print the emotion of a recording, or why there is none."""
    with open(path, "rb") as file:
        reply = requests.post(
            f"{url}/v1/predict", data=file, headers=make_headers(), timeout=TIMEOUT_S
        )
    found = reply.json()
    if not reply.ok:  # problem details, with a stable code
        sys.exit(f"{found['code']}: {found['detail']}")
    print(f"predict: {found['emotion'] or found['abstained']} {found['confidence']}")


def stream(url: str, path: str) -> None:
    """Send a WAV file (16-bit) as a live stream, and print what comes back."""
    address = url.replace("http", "ws", 1) + "/v1/stream"
    with wave.open(path) as file, connect(address, additional_headers=make_headers()) as socket:
        start = {"rate_hz": file.getframerate(), "channels": file.getnchannels()}
        socket.send(json.dumps(start))
        while frames := file.readframes(file.getframerate() // 10):  # 100 ms
            socket.send(frames)
        socket.send(json.dumps({"type": "end"}))
        for text in socket:
            message = json.loads(text)
            if message["type"] == "error":
                sys.exit(f"{message['code']}: {message['detail']}")
            if message["type"] == "segment":
                label = message["emotion"] or message["abstained"]
                print(f"segment: {message['start_s']:.2f} to {message['end_s']:.2f} s: {label}")
            if message["type"] == "summary":
                print(f"summary: {message['duration_s']} s, {message['segments']} segments")


if __name__ == "__main__":
    predict(*sys.argv[1:3])
    stream(*sys.argv[1:3])
