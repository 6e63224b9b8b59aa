import { listingIn, loadConfig, readingIn } from '../config/load.ts';
import { systemClock } from '../runtime/clock.ts';
import { loadFor, printProblems } from './args.ts';
import { orDemo } from './demo-config.ts';
import type { Io } from './io.ts';

/** The admin listener of a running proxy. */
export interface AdminAddress {
  /** Without a trailing slash. */
  readonly url: string;
  /** Path of the API of durable requests. */
  readonly prefix: string;
  readonly token: string | undefined;
}

/** An environment variable, because every user of the machine can read a command line. */
const TOKEN_VARIABLE = 'BREAKWATER_ADMIN_TOKEN';

const DEFAULT_PREFIX = '/_breakwater';

/** Enough for a query over the whole store. */
const TIMEOUT_MS = 30_000;

/** Options of every command that talks to a running proxy. */
export const ADMIN_OPTIONS = {
  config: { type: 'string', short: 'c' },
  admin: { type: 'string' },
} as const;

export const ADMIN_HELP = `  -c, --config FILE    the configuration with the address and the token (default config.yaml)
      --admin ADDRESS  the admin listener: 127.0.0.1:8081, or a URL whose path is durable.prefix
  The token can also be in the environment variable ${TOKEN_VARIABLE}.`;

/** A failure of a call, with a message for people. */
export class AdminFailure extends Error {
  readonly exit: 1 | 2;

  constructor(message: string, exit: 1 | 2 = 1) {
    super(message);
    this.exit = exit;
  }
}

/** Finds the proxy by the options of a command. Prints the problems of the configuration, and throws an AdminFailure. */
export function adminAddress(
  { admin, config: file }: { readonly admin?: string | undefined; readonly config?: string | undefined },
  io: Io,
): AdminAddress {
  const configured = admin === undefined || file !== undefined ? fromConfig(file, io) : {};
  const named = admin === undefined ? {} : fromUrl(admin);
  const token = io.env[TOKEN_VARIABLE] || configured.token;
  const { url, prefix = DEFAULT_PREFIX } = { ...configured, ...named };
  if (url === undefined)
    throw new AdminFailure(
      'the configuration does not fix the admin port; write it with --admin 127.0.0.1:PORT',
    );
  return { url, prefix, token };
}

/** Without a name and without a config.yaml, the proxy is probably that of `start --demo`. */
function fromConfig(file: string | undefined, io: Io): Partial<AdminAddress> {
  const loaded =
    file === undefined
      ? loadConfig('config.yaml', io.env, orDemo(readingIn(io.cwd), 'config.yaml'), {
          listFolder: listingIn(io.cwd),
        })
      : loadFor(io, file);
  if (!loaded.ok) {
    printProblems(loaded.problems, io);
    throw new AdminFailure('the configuration has problems; correct it, or name the proxy with --admin');
  }
  const { admin, durable } = loaded.config;
  const { token } = admin;
  if (admin.port === 0) return { prefix: durable.prefix, token };
  return { url: `http://${reachable(admin.host)}:${admin.port}`, prefix: durable.prefix, token };
}

/** A listener on all addresses is reached on loopback. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}

function fromUrl(text: string): Partial<AdminAddress> {
  const whole = text.includes('://') ? text : `http://${text}`;
  const url = URL.canParse(whole) ? new URL(whole) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '')
    throw new AdminFailure(
      `--admin "${text}" is not an address such as 127.0.0.1:8081 or http://127.0.0.1:8081`,
      2,
    );
  const prefix = url.pathname.replace(/\/+$/, '');
  return prefix === '' ? { url: url.origin } : { url: url.origin, prefix };
}

export interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

export interface AdminCall {
  readonly method: string;
  /** Path and query on the admin listener. */
  readonly path: string;
  /** Sent as JSON. Undefined: no body. */
  readonly body?: object | undefined;
}

/** Calls the API of durable requests; `path` is below its prefix. Throws an AdminFailure as `callAdmin` does. */
export function callDurable(proxy: AdminAddress, method: string, path: string): Promise<Answer> {
  return callAdmin(proxy, { method, path: `${proxy.prefix}${path}` });
}

/** Calls the admin listener. Throws an AdminFailure without an answer within 30 s, and after 401; returns any other answer. */
export async function callAdmin(
  { url, token }: AdminAddress,
  { method, path, body }: AdminCall,
): Promise<Answer> {
  const abort = new AbortController();
  const timer = systemClock.timer(TIMEOUT_MS, () => abort.abort());
  try {
    const reply = await fetch(`${url}${path}`, {
      method,
      headers: {
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      // The token is for this address only.
      redirect: 'manual',
      signal: abort.signal,
    });
    const answer = { status: reply.status, body: Buffer.from(await reply.arrayBuffer()) };
    if (answer.status === 401) throw unauthorised(url, token);
    return answer;
  } catch (error) {
    if (error instanceof AdminFailure) throw error;
    throw new AdminFailure(noAnswer(url, error, abort.signal.aborted));
  } finally {
    timer.cancel();
  }
}

/** The JSON of an answer. Throws an AdminFailure if it is not JSON: another server answers at that address. */
export function jsonIn<T>({ url }: AdminAddress, body: Buffer): T {
  try {
    return JSON.parse(body.toString()) as T;
  } catch {
    throw new AdminFailure(
      `the server at ${url} is not the admin listener of Breakwater; name it with --admin`,
    );
  }
}

/** The `detail` of a problem (RFC 9457). Throws as `jsonIn` does. */
export function detailIn(proxy: AdminAddress, body: Buffer): string | undefined {
  return jsonIn<{ detail?: string }>(proxy, body).detail;
}

function unauthorised(url: string, token: string | undefined): AdminFailure {
  return token === undefined
    ? new AdminFailure(`the proxy at ${url} needs its admin token; set ${TOKEN_VARIABLE}`)
    : new AdminFailure(
        `the proxy at ${url} refuses this admin token; correct ${TOKEN_VARIABLE} or admin_token`,
      );
}

function noAnswer(url: string, error: unknown, late: boolean): string {
  if (late) return `the proxy at ${url} did not answer within ${TIMEOUT_MS / 1_000} s; try again`;
  const cause = error instanceof Error ? (error.cause as NodeJS.ErrnoException | undefined) : undefined;
  if (cause?.code === 'ECONNREFUSED')
    return `no proxy runs at ${url}; start it, or name its admin listener with --admin`;
  return `the proxy at ${url} cannot be reached: ${cause?.code ?? cause?.message ?? String(error)}`;
}
