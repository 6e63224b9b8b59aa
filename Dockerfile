# syntax=docker/dockerfile:1

FROM node:26-slim AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
# The `node` package in devDependencies is for machines with an older Node; here Node is the image's own.
RUN npm ci --ignore-scripts
COPY tsconfig.json rolldown.config.ts ./
COPY src ./src
COPY examples ./examples
RUN npm run build

FROM node:26-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /src/package.json ./
COPY --from=build /src/dist ./dist
# Fills dist/.compile-cache, which later starts read. They cannot write it.
RUN node dist/main.js start --help > /dev/null
# Mount your own over it: -v ./config.yaml:/app/config.yaml:ro
COPY config.yaml ./
# Apps reach a container from outside of it; the shipped config.yaml asks for this. The admin port stays on loopback.
ENV BREAKWATER_LISTEN=0.0.0.0:8080
# Nothing is written but the store of durable requests: a read-only root file system is enough. Name the volume to keep it.
ENV BREAKWATER_STORE=/data/breakwater.db
RUN mkdir /data && chown node /data
VOLUME /data
# uid 1000 in the image.
USER node
EXPOSE 8080
# No npm and no shell in between: node is process 1 and gets SIGTERM itself.
ENTRYPOINT ["node", "dist/main.js"]
CMD ["start"]
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
  CMD ["node", "dist/main.js", "health"]
