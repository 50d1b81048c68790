# A small image of the loader, the local server included:
#   docker build -t zerobus .
#   docker run --rm -v "$PWD:/data" zerobus ingest --local wh --table a.b.c --proto r.proto rows.csv
FROM rust:1.95-slim-trixie AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin zerobus \
    && cp target/release/zerobus /zerobus

FROM debian:trixie-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin zerobus \
    && install -d -o zerobus -g zerobus /data
COPY --from=build /zerobus /usr/local/bin/zerobus
USER zerobus
WORKDIR /data
# A signal reaches the loader itself: it acknowledges what it has accepted.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/zerobus"]
CMD ["--help"]
