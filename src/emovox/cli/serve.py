"""``emovox serve``: the HTTP and WebSocket service."""

import os
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emovox.cli.options import ModelOption
from emovox.cli.terminal import echo

if TYPE_CHECKING:
    from emovox.service.keys import ApiKey
    from emovox.service.settings import Limits

MIB = 2**20


def serve(
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Address to listen on. Any but loopback needs --keys or --insecure.",
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="N", min=0, max=65_535, help="Port to listen on; 0: any free.")
    ] = 8_000,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Number of processes, each with one thread for the model. Default: one for each "
            "core.",
        ),
    ] = None,
    model: ModelOption = None,
    keys: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File with the hashes of API keys, one for each line. Default: the variable "
            "EMOVOX_API_KEYS.",
        ),
    ] = None,
    new_key: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Print a new API key and the line for --keys, and exit."),
    ] = None,
    insecure: Annotated[
        bool,
        typer.Option("--insecure", help="Let everybody use an address other than loopback."),
    ] = False,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Name by which clients call the service, such as that of a proxy. Repeatable.",
        ),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ORIGIN",
            help="Let the scripts of a page elsewhere call the service, e.g. https://example.org. "
            "Repeatable.",
        ),
    ] = None,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS",
            help="Believe the X-Forwarded-For of a proxy at this address. Repeatable.",
        ),
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Change a limit, e.g. body_mb=20 or requests_per_minute=60. Repeatable.",
        ),
    ] = None,
) -> None:
    """Serve predictions, timelines, live streams and the page over HTTP.

    Only this machine can use it, unless another address is named. It keeps no audio.
    """
    from emovox.service.keys import make_key

    if new_key is not None:
        key, stored = make_key(new_key)
        echo(f"key, for the client (shown only now): {key}")
        echo(f"line, for the file of --keys: {stored}")
        return
    require_packages()
    from emovox.cores import count_cores
    from emovox.service.serve import Supervisor
    from emovox.service.settings import ServiceSettings

    settings = ServiceSettings(
        host=host,
        port=port,
        workers=workers or count_cores(),
        model=model,
        keys=find_keys(keys),
        insecure=insecure,
        hosts=tuple(name.lower() for name in allow_host or ()),
        origins=tuple(allow_origin or ()),
        trusted_proxies=tuple(trusted_proxy or ()),
        limits=parse_limits(limit or []),
    )
    n = settings.workers
    Supervisor(settings).run(
        lambda url: echo(f"emovox: serving on {url}, {n} process{'es' * (n > 1)}", err=True)
    )


def require_packages() -> None:
    """Raise ModuleNotFoundError for a missing package here, not in the processes that serve."""
    for name in ("fastapi", "uvicorn", "websockets", "python_multipart"):
        if find_spec(name) is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def find_keys(path: Path | None) -> "tuple[ApiKey, ...]":
    """Read the stored keys from the file, otherwise from the environment."""
    from emovox.service.keys import KEYS_VARIABLE, parse_keys, read_keys

    if path is not None:
        return read_keys(path)
    return parse_keys(os.environ.get(KEYS_VARIABLE, ""), source=KEYS_VARIABLE)


def parse_limits(changes: list[str]) -> "Limits":
    """Return the limits with some changed; sizes are in MiB."""
    from emovox.service.settings import Limits

    known = {entry.name.replace("_bytes", "_mb"): entry.name for entry in fields(Limits)}
    changed: dict[str, Any] = {}
    for change in changes:
        name, _, text = change.partition("=")
        if name not in known:
            raise typer.BadParameter(f"--limit {change}: expected one of {', '.join(known)}")
        entry = known[name]
        try:
            value = float(text)
        except ValueError:
            raise typer.BadParameter(f"--limit {change}: expected a number") from None
        value *= MIB if name.endswith("_mb") else 1
        changed[entry] = type(getattr(Limits(), entry))(value)
    return Limits(**changed)
