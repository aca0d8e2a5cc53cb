# ctrsel in a container, without root and without compilers:
#   docker build -t ctrsel .
#   docker run --rm -v "$PWD:/work" ctrsel run clicks.yaml
#   docker run --rm -v "$PWD:/work" --entrypoint python ctrsel -m pipelines.nightly clicks.yaml
# PIP_ARGS goes to pip as it is, for an index that offers the CPU build of torch:
#   docker build --build-arg PIP_ARGS="--extra-index-url ..." -t ctrsel .

FROM python:3.11-slim AS build
ARG PIP_ARGS=""
RUN apt-get update && apt-get install --yes --no-install-recommends make && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/ctrsel
COPY Makefile pyproject.toml constraints.txt README.md LICENSE ./
COPY ctrsel ctrsel
COPY pipelines pipelines
# The environment lies where it will run, since scripts in it name their interpreter by its full path.
RUN make install VENV=/opt/venv PIP_ARGS="$PIP_ARGS"

FROM python:3.11-slim
# LightGBM needs the OpenMP runtime, which the slim image lacks.
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 ctrsel
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/ctrsel /opt/ctrsel
COPY configs /opt/ctrsel/configs
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MLFLOW_DISABLE_TELEMETRY=true
USER ctrsel
WORKDIR /work
ENTRYPOINT ["ctrsel"]
CMD ["--help"]
