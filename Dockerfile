# syntax=docker/dockerfile:1
# The command line and libstormglass.so. Two stages: the toolchain stays in the first.

# Debian 12 in both stages: what is built needs glibc 2.34, so the library can be preloaded in images of Debian 12, Ubuntu
# 22.04, RHEL 9 and newer. `slim` has the compiler driver that links (docs of the official image `rust`: Image Variants).
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
# --locked: what is built is what Cargo.lock says, or nothing.
RUN cargo build --release --locked && strip target/release/stormglass

FROM debian:bookworm-slim
# A user of its own, by number, so that an orchestrator can see that it is not root. Segments are private to their user:
# programs to be watched run under the same number.
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin stormglass \
    && install -d -o stormglass -g stormglass /library
COPY --from=build /src/target/release/stormglass /usr/local/bin/stormglass
COPY --from=build /src/target/release/libstormglass.so /usr/local/lib/libstormglass.so
COPY LICENSE-MIT LICENSE-APACHE /usr/local/share/doc/stormglass/
USER 10001:10001
EXPOSE 7070
ENTRYPOINT ["/usr/local/bin/stormglass"]
CMD ["serve", "--listen", "0.0.0.0:7070", "--expose"]
# The image has no HTTP client; its bash (Debian's is built with /dev/tcp) asks for /healthz.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/7070 && printf 'GET /healthz HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&3 && grep -q '^ok' <&3"]
