# The image: one static binary on Alpine, which has a shell for `fly ssh console`.

FROM golang:1.26.8-bookworm AS build
WORKDIR /src
# The modules are a layer of their own, which stays until go.mod or go.sum change.
COPY go.mod go.sum ./
RUN go mod download
# SQLite is another one, because compiling it takes longer than everything else.
COPY scripts/build scripts/need scripts/
ARG TARGETARCH
RUN scripts/build --sqlite $TARGETARCH
COPY . .
ARG VERSION=unknown
RUN scripts/build $TARGETARCH && mv dist/httpipe-linux-* dist/httpipe

FROM alpine:3.22
# sqlite3 is for looks into the audit log. It is older than the one in httpipe, so only ever with -readonly.
RUN apk add --no-cache sqlite && mkdir /data
COPY --from=build /src/dist/httpipe /usr/local/bin/httpipe
ENV HTTPIPE_AUDIT_DB=/data/httpipe.db
# SQLite's temporary files, so that the root file system can be read-only.
ENV SQLITE_TMPDIR=/data
# If it starts as root, because volumes belong to root, it gives itself /data, and is an ordinary user from then on. Any
# other user (docker run --user, runAsUser) is as good, if /data is writable for that user.
ENV HTTPIPE_DROP_TO=65532:65532
EXPOSE 3000
HEALTHCHECK --interval=15s --timeout=10s --start-period=10s CMD ["httpipe", "healthcheck"]
ENTRYPOINT ["httpipe"]
ARG VERSION=unknown
LABEL org.opencontainers.image.title=httpipe org.opencontainers.image.version=$VERSION org.opencontainers.image.licenses=MIT
