import { join } from 'node:path';
import { type Breakwater, type BreakwaterOptions, startBreakwater } from './breakwater.ts';
import { temporaryFolder } from './command.ts';
import type { Origin } from './origin.ts';

export interface DurableConfig {
  /** Keys of the upstream's `durable`, flow style. */
  readonly durable?: string;
  /** Keys of the process's `durable`, flow style. */
  readonly process?: string;
  /** Further keys of the upstream, indented by four. */
  readonly more?: string;
  /** Further keys of the file. */
  readonly top?: string;
  readonly store?: string;
}

/** An upstream `api` whose requests are durable and retried after a millisecond. */
export function durableConfig(
  origin: Pick<Origin, 'url'>,
  { durable = '', process = '', more = '', top = '', store }: DurableConfig = {},
): string {
  const file = store ?? join(temporaryFolder(), 'store.db');
  const backoff = 'backoff: { kind: constant, base: 1ms, overloaded_base: 1ms, jitter: none }';
  return `
durable: { store: ${file}${process === '' ? '' : `, ${process}`} }
${top}
upstreams:
  api:
    url: ${origin.url}
    allow_private: true
    retry: { idempotency_key: pass }
    durable: { ${backoff}${durable === '' ? '' : `, ${durable}`} }
${more}`;
}

export interface Monitor {
  readonly id: string;
  readonly status: string;
  readonly done: boolean;
  readonly attempts: { readonly made: number; readonly max: number; readonly last?: { status?: number } };
  readonly next?: { readonly at: string; readonly reason?: string };
  readonly plan: readonly string[];
  readonly error?: { readonly code: string; readonly title: string };
  readonly response?: { readonly status: number; readonly bytes: number; readonly truncated: boolean };
  readonly erased?: boolean;
  readonly [name: string]: unknown;
}

/** A client of durable requests. */
export class DurableClient {
  readonly proxy: Breakwater;

  constructor(proxy: Breakwater) {
    this.proxy = proxy;
  }

  /** By default, a PUT of a few bytes. */
  submit(
    headers: Record<string, string> = {},
    init: RequestInit = {},
    path = '/api/orders',
  ): Promise<Response> {
    return fetch(`${this.proxy.url}${path}`, {
      method: 'PUT',
      body: 'an order',
      ...init,
      headers: { prefer: 'respond-async', ...headers },
    });
  }

  /** Submits a request and returns the path of its monitor. */
  async accepted(
    headers: Record<string, string> = {},
    init: RequestInit = {},
    path?: string,
  ): Promise<string> {
    const reply = await this.submit(headers, init, path);
    const text = await reply.text();
    if (reply.status !== 202) throw new Error(`${reply.status} ${text}`);
    return reply.headers.get('location') ?? '';
  }

  call(method: string, path: string, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(`${this.proxy.url}${path}`, { method, headers });
  }

  async monitor(location: string, headers: Record<string, string> = {}): Promise<Monitor> {
    return (await (await this.call('GET', location, headers)).json()) as Monitor;
  }

  /** The monitor once the request has ended. */
  done(location: string, headers: Record<string, string> = {}): Promise<Monitor> {
    return this.monitor(location, { ...headers, prefer: 'wait=60' });
  }

  /** The monitor once `condition` holds. */
  async until(location: string, condition: (monitor: Monitor) => boolean): Promise<Monitor> {
    for (;;) {
      const reply = await this.call('GET', location);
      const monitor = (await reply.json()) as Monitor;
      if (condition(monitor)) return monitor;
      if (monitor.done) throw new Error(`ended as ${JSON.stringify(monitor)}`);
      const changed = { prefer: 'wait=60', 'if-none-match': reply.headers.get('etag') ?? '' };
      await (await this.call('GET', location, changed)).arrayBuffer();
    }
  }

  /** A call through the admin listener. */
  admin(method: string, path: string): Promise<Response> {
    return fetch(`${this.proxy.adminUrl}/_breakwater${path}`, { method });
  }
}

export async function startDurable(yaml: string, options: BreakwaterOptions = {}): Promise<DurableClient> {
  return new DurableClient(await startBreakwater(yaml, options));
}
