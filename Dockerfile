# syntax=docker/dockerfile:1

# A release names both by their digest: see docs/releasing.md. Both must be of the same Node, because the compiled code is cached.
ARG BUILD_IMAGE=node:26-slim
ARG RUNTIME_IMAGE=node:26-slim

FROM ${BUILD_IMAGE} AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
# The `node` package in devDependencies is for machines with an older Node; here Node is the image's own.
RUN npm ci --ignore-scripts
COPY tsconfig.json rolldown.config.ts ./
# The list of packages needs the package.json of every workspace. .dockerignore leaves out the rest of these folders.
COPY .ci ./.ci
COPY bench ./bench
COPY test ./test
COPY src ./src
COPY examples ./examples
RUN npm run build && mkdir /app /data && cp -r package.json dist /app/ && chown -R 1000:1000 /app
# Fills dist/.compile-cache. Node keeps one cache per user and closes it to others.
USER 1000:1000
RUN node /app/dist/main.js start --help > /dev/null && chmod -R a+rX /app/dist/.compile-cache

# Nothing is run in this stage, so an image without a shell works too.
FROM ${RUNTIME_IMAGE}
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="Breakwater" \
  org.opencontainers.image.description="A sidecar reverse proxy for third-party HTTP APIs" \
  org.opencontainers.image.licenses="MIT" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}" \
  org.opencontainers.image.created="${CREATED}" \
  org.opencontainers.image.source="${SOURCE}"
ENV NODE_ENV=production
WORKDIR /app
# The list of its packages is dist/sbom.cdx.json. All belongs to root, so that the proxy cannot change its own code.
COPY --from=build --chown=0:0 /app ./
# Mount your own over it: -v ./config.yaml:/app/config.yaml:ro
COPY config.yaml ./
# Apps reach a container from outside of it; the shipped config.yaml asks for this. The admin port stays on loopback.
ENV BREAKWATER_LISTEN=0.0.0.0:8080
# Nothing is written but the store of durable requests: a read-only root file system is enough. Name the volume to keep it.
ENV BREAKWATER_STORE=/data/breakwater.db
COPY --from=build --chown=1000:1000 /data /data
VOLUME /data
# A number, so that Kubernetes can check `runAsNonRoot`.
USER 1000:1000
EXPOSE 8080
# No npm and no shell in between: node is process 1 and gets SIGTERM itself. V8 never returns the memory of its young generation.
# With 4 MiB instead of 16, a process under load takes up to 70 MB less. One thread of V8 instead of four leaves more of a single core to
# calls while the heap is marked (bench/README.md).
ENTRYPOINT ["node", "--max-semi-space-size=4", "--v8-pool-size=1", "dist/main.js"]
CMD ["start"]
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
  CMD ["node", "dist/main.js", "health"]
