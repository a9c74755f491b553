# The grader's container: CUDA runtime, user `aicrowd`, the repository in its home folder.
# docker build -t bandsplit .
# The torch wheels of submission/requirements.txt are built for CUDA 13; without a GPU, or with an older driver, the
# predictor runs on the CPU.
FROM nvidia/cuda:13.0.2-cudnn-runtime-ubuntu24.04

ENV DEBIAN_FRONTEND=noninteractive \
    LANG=C.UTF-8 \
    LC_ALL=C.UTF-8 \
    PYTHONUNBUFFERED=1

COPY apt.txt /tmp/apt.txt
RUN apt-get update -qq \
 && apt-get install -qq -y --no-install-recommends python3 python3-venv $(cat /tmp/apt.txt) \
 && rm -rf /var/lib/apt/lists/*

RUN useradd --create-home --uid 1001 --shell /bin/bash aicrowd
USER aicrowd
WORKDIR /home/aicrowd

ENV PATH=/home/aicrowd/.python/bin:$PATH
COPY --chown=1001:1001 submission/requirements.txt /home/aicrowd/requirements.inference.txt
RUN python3 -m venv /home/aicrowd/.python \
 && pip install --no-cache-dir -r /home/aicrowd/requirements.inference.txt

COPY --chown=1001:1001 . /home/aicrowd
