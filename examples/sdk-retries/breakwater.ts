import { type Proxy, startBreakwater as start } from '../lib/breakwater.ts';

export interface ProxyOptions {
  readonly apiUrl: string;
  /** Whose API it is taken for. */
  readonly preset: string;
  /** It is the one that retries. */
  readonly own: boolean;
}

/** The waits are short, so that nobody waits for this; everything else is the preset's or built in. */
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
