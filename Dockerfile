# The service, as docs/service.md describes it. Not built by the tests, which run without Docker.
FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE CHANGELOG.md ./
COPY src src
RUN python -m venv /opt/emovox \
    && /opt/emovox/bin/pip install --no-cache-dir --disable-pip-version-check '.[serve]'

FROM python:3.11-slim
COPY --from=build /opt/emovox /opt/emovox
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin emovox
ENV PATH=/opt/emovox/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    OMP_NUM_THREADS=1
USER 10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["emovox", "serve", "--host", "0.0.0.0"]
# Without keys, the service refuses to listen on this address.
CMD ["--keys", "/run/secrets/keys"]
