import type { Config, RouteConfig, UpstreamConfig } from './config.ts';
import type { Digests } from './read/digests.ts';
import type { Problem } from './read/problem.ts';

/** A request to the loading thread. Paths are relative to `cwd`. */
export interface LoadRequest {
  readonly file: string;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Sent before a file is read, and without a name after it, because a thread that waits for a file can do nothing else. */
export interface Reading {
  readonly reading: string | undefined;
}

/** The first message of the thread after those about files. Routes follow, because the main thread takes them a few at a time. */
export type Outline = LoadedOutline | RefusedOutline;

export interface LoadedOutline {
  readonly ok: true;
  readonly config: Omit<Config, 'upstreams'>;
  readonly upstreams: readonly UpstreamOutline[];
  readonly warnings: readonly Problem[];
  readonly files: Digests;
}

interface UpstreamOutline {
  readonly upstream: Omit<UpstreamConfig, 'routes'>;
  /** The number of its routes. */
  readonly routes: number;
}

interface RefusedOutline {
  readonly ok: false;
  readonly problems: readonly Problem[];
  readonly files: Digests;
}

/** Each message of the main thread asks for the next routes, in the order of the configuration. */
export const MORE = 'more';

export type SomeRoutes = readonly RouteConfig[];

/** Routes in one message: a few milliseconds of work for the main thread. */
export const ROUTES_PER_MESSAGE = 25;
