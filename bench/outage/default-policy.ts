import type { RouteConfig } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/read/problem.ts';
import type { Subject } from '../../src/simulate/sidecar.ts';

/** The timeouts of RPB-1. */
const PRESCRIBED = 'timeouts: { attempt: 1s, total: 8s }';

/** The shipped defaults with the timeouts of RPB-1. `changes`: lines below `defaults:`. */
export const subjectWith = (changes = ''): Subject => plainSubject({ defaults: `${PRESCRIBED}\n${changes}` });

/** The same on a route with streams: their first event has the time of an attempt. */
export const streamSubject = (): Subject =>
  subjectWith(
    'stream: { first_event: 1s, event_gap: 1s, error: [{ event: error, status: 529 }], done: [{ event: end }] }',
  );

/** The shipped defaults, with lines below `defaults:`, a preset and targets if given. */
export function plainSubject({
  defaults = '',
  preset,
  targets,
}: {
  defaults?: string;
  preset?: string;
  targets?: string;
} = {}): Subject {
  const lines = defaults.trim() === '' ? ' {}' : `\n  ${defaults.trim().replaceAll('\n', '\n  ')}`;
  const text = `
defaults:${lines}
upstreams:
  rpb: { url: https://rpb.example${line('preset', preset)}${line('targets', targets)} }
`;
  const loaded = loadConfig('rpb', {}, () => text);
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'));
  const upstream = loaded.config.upstreams[0]!;
  return { upstream, route: upstream.routes.at(-1) as RouteConfig };
}

const line = (key: string, value: string | undefined): string =>
  value === undefined ? '' : `, ${key}: ${value}`;
