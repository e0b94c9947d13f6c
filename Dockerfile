# Lethe in an image: built with a compiler, run without one, as nobody in particular, on a root that may be read-only.

FROM node:20.20.2-bookworm-slim AS build
RUN apt-get update \
  && apt-get install --yes --no-install-recommends g++ make python3 \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
# Of all packages one alone is let run a script: better-sqlite3, which fetches or compiles SQLite.
RUN npm ci --ignore-scripts && npm rebuild better-sqlite3
# What .dockerignore lets in, and no more.
COPY . .
# As it would be published: package.json says which files that are.
RUN npm run build \
  && npm pack --ignore-scripts \
  && mkdir /app \
  && tar --extract --gzip --file lethe-*.tgz --directory /app --strip-components=1 \
  && npm prune --omit=dev --ignore-scripts \
  && mv node_modules /app/

FROM node:20.20.2-bookworm-slim
LABEL org.opencontainers.image.title="Lethe" \
  org.opencontainers.image.description="An event-sourced registry for data files" \
  org.opencontainers.image.licenses="Apache-2.0"
# Beyond loopback it starts with API keys alone, and says so where there are none.
ENV NODE_ENV=production LETHE_HOST=0.0.0.0 LETHE_PORT=4270 LETHE_DATA=/data
WORKDIR /app
# Root's, so that whoever takes over the process cannot change what it runs.
COPY --from=build /app ./
COPY deploy/prepare.mjs ./deploy/
RUN mkdir --mode=0700 /data && chown 1000:1000 /data
# By number: some platforms cannot tell otherwise that it is not root.
USER 1000:1000
EXPOSE 4270
# Alive, not ready: a worker that builds the read model anew is healthy, for hours if need be. Who sends requests on asks /health/ready.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.LETHE_PORT}/health/live`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# Not by way of npm or a shell: node itself hears SIGTERM, ends what is in flight, and gives back what it holds.
CMD ["node", "dist/main.js"]
