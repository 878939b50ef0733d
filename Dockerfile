# One image for every process of homeostat; docker-compose.yml gives each its command.
FROM python:3.11.14-slim-bookworm AS packages
COPY requirements-runtime.lock .
RUN python -m venv /opt/homeostat \
    && /opt/homeostat/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-runtime.lock

FROM python:3.11.14-slim-bookworm
# LightGBM takes the OpenMP library from the system.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin homeostat
COPY --from=packages /opt/homeostat /opt/homeostat
WORKDIR /srv/homeostat
COPY . .
# A new volume takes its owner from the folder that it covers.
RUN install -d -o homeostat -g homeostat var anchors
ENV PATH=/opt/homeostat/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    MPLCONFIGDIR=/tmp/matplotlib
USER 10001
CMD ["python", "worker.py"]
HEALTHCHECK --interval=30s --timeout=15s --start-period=60s CMD ["python", "-m", "runtime.health", "queue", "main"]
