# The image: one static binary on Alpine, which has a shell for `fly ssh console`.

FROM golang:1.26.8-bookworm AS build
WORKDIR /src
# The modules are a layer of their own, which stays until go.mod or go.sum change.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=unknown
ARG TARGETARCH
# The cache saves compiling SQLite every time.
RUN --mount=type=cache,target=/root/.cache/go-build scripts/build $TARGETARCH

FROM alpine:3.22
# sqlite3 is for looks into the audit log. It is older than the one in httpipe, so only ever with -readonly.
RUN apk add --no-cache sqlite && mkdir /data
ARG TARGETARCH
COPY --from=build /src/dist/httpipe-linux-$TARGETARCH /usr/local/bin/httpipe
ENV HTTPIPE_AUDIT_DB=/data/httpipe.db
# It starts as root, because volumes belong to root; it gives itself /data, and is an ordinary user from then on.
ENV HTTPIPE_DROP_TO=65532:65532
EXPOSE 3000
HEALTHCHECK --interval=15s --timeout=10s --start-period=10s CMD ["httpipe", "healthcheck"]
ENTRYPOINT ["httpipe"]
