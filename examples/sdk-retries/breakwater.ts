import { type Proxy, startBreakwater as start } from '../lib/breakwater.ts';

export interface ProxyOptions {
  readonly apiUrl: string;
  /** The API that it imitates. */
  readonly preset: string;
  /** Whether Breakwater is the one that retries. */
  readonly own: boolean;
}

/** The waits are short, so that the example is fast. All other values are those of the preset or built in. */
export function startBreakwater({ apiUrl, preset, own }: ProxyOptions): Promise<Proxy> {
  return start(`
upstreams:
  api:
    preset: ${preset}
    url: ${apiUrl}
    mount: { path: / }
    allow_private: true
    retry:
      limit_client_retries: ${own}
      backoff: { base: 0ms, overloaded_base: 0ms }
`);
}
