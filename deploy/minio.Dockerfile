# MinIO, from its source: its makers publish no images any more, and the last that they did have known holes. It is the version that
# the test suite runs against (test/servers/fetch-minio.mjs); Go checks what it fetches against its public checksum database.

FROM golang:1.25.12-bookworm AS build
RUN CGO_ENABLED=0 go install -trimpath github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c

FROM alpine:3.23.4
COPY --from=build /go/bin/minio /usr/local/bin/minio
RUN mkdir -m 0700 /data && chown 1000:1000 /data
USER 1000:1000
EXPOSE 9000
# Not "live": a server that still reads its disks is alive and answers 503.
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=6 \
  CMD ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1:9000/minio/health/cluster"]
CMD ["minio", "server", "--quiet", "--address", ":9000", "--certs-dir", "/tmp/certs", "/data"]
