# syntax=docker/dockerfile:1
# The image of every part: docker build --tag likeness . (see docs/deployment.md).
# Nothing in it depends on the processor: build for both with docker buildx build --platform linux/amd64,linux/arm64.
ARG PYTHON=3.13-slim-bookworm

FROM python:${PYTHON} AS build
# Which extras are installed; the flow of refreshes needs flows, which brings torch, and an image of its own.
ARG EXTRAS=ui,worker,postgres,elastic,redis,sqs,s3,watch,bot,ann,encryption
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv --without-pip /opt/likeness
WORKDIR /build
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src ./src
COPY samples/people ./samples/people
COPY samples/probes ./samples/probes
# Compiled to bytecode now: there is no place for it later. pip itself stays behind.
RUN python -m pip --python /opt/likeness/bin/python install --compile ".[${EXTRAS}]"

FROM python:${PYTHON} AS run
ARG VERSION=unreleased
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Likeness" \
      org.opencontainers.image.description="Face recognition you own: people, lookalikes and honest probabilities." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.documentation="https://likeness.readthedocs.io" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# tini hands signals on from the first moment, before the program has said what it does with them.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 likeness \
    && useradd --uid 10001 --gid likeness --home-dir /data --no-create-home --shell /usr/sbin/nologin likeness \
    && install --directory --owner=likeness --group=likeness --mode=0700 /data
COPY --from=build /opt/likeness /opt/likeness
# What is kept lies below /data, what can be made again below /tmp; nothing else is written, so the root may be read-only.
ENV PATH=/opt/likeness/bin:$PATH \
    HOME=/data \
    XDG_DATA_HOME=/data \
    XDG_CONFIG_HOME=/data/config \
    XDG_CACHE_HOME=/tmp/cache \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8000
# Of the server, which this image runs unless told otherwise; whoever runs another part says what to ask of it.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as w; w.urlopen('http://127.0.0.1:8000/v1/health', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["tini", "--", "likeness"]
CMD ["serve", "--host", "0.0.0.0"]
