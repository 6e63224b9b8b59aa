import type { RouteConfig } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/read/problem.ts';
import type { Subject } from '../../src/simulate/sidecar.ts';

/** What RPB-1 prescribes. */
const PRESCRIBED = 'timeouts: { attempt: 1s, total: 8s }';

/** The policy under judgement: what is shipped, with the timeouts that RPB-1 prescribes. `changes` are lines of `defaults:`. */
export const subjectWith = (changes = ''): Subject => plainSubject({ defaults: `${PRESCRIBED}\n${changes}` });

/** What is shipped and nothing else, but for lines of `defaults:` and the name of a preset. */
export function plainSubject({
  defaults = '',
  preset,
}: {
  defaults?: string;
  preset?: string;
} = {}): Subject {
  const lines = defaults.trim() === '' ? ' {}' : `\n  ${defaults.trim().replaceAll('\n', '\n  ')}`;
  const text = `
defaults:${lines}
upstreams:
  rpb: { url: https://rpb.example${preset === undefined ? '' : `, preset: ${preset}`} }
`;
  const loaded = loadConfig('rpb', {}, () => text);
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'));
  const upstream = loaded.config.upstreams[0]!;
  return { upstream, route: upstream.routes.at(-1) as RouteConfig };
}
