# syntax=docker/dockerfile:1
ARG PYTHON=3.12-slim-bookworm

FROM python:${PYTHON} AS build
# serve; traces for OpenTelemetry too; ray for many machines; gpu for TensorFlow and CUDA's libraries.
ARG REQUIREMENTS=serve
COPY requirements/${REQUIREMENTS}.txt /tmp/requirements.txt
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv /opt/venv \
    && /opt/venv/bin/python -m pip install --require-hashes -r /tmp/requirements.txt \
    && /opt/venv/bin/python -m pip uninstall --yes pip

FROM python:${PYTHON}
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="cxr-inference" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.description="Chest X-ray classification; research software, not a medical device" \
      org.opencontainers.image.licenses="Apache-2.0"
# KubeRay starts what it runs from a login shell, which would forget PATH.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin cxr \
    && echo "PATH=/opt/venv/bin:\$PATH" > /etc/profile.d/venv.sh \
    && python -m pip uninstall --yes pip
COPY --from=build /opt/venv /opt/venv
WORKDIR /srv
COPY app app
COPY models models
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    CXR_HOST=0.0.0.0 \
    CXR_PORT=8000
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['CXR_PORT'] + '/health/ready', timeout=2)"]
ENTRYPOINT ["python", "-m", "app"]
