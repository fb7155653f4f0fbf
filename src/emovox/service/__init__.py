"""The HTTP and WebSocket service: ``emovox serve``.

    connections -> guard (host, origin, key, rate) -> routes -> uploads -> lanes -> answers
                                                   -> streams -----------> lanes

``serve.py`` starts one process per core, each with a recogniser of its own. Requests are read and
written on the event loop of a process; recordings are decoded and classified in the threads of its
lanes. No audio is written to disk or logged.
"""
