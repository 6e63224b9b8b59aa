import type { RouteConfig } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/problem.ts';
import type { Subject } from '../../src/simulate/sidecar.ts';

/** The policy under judgement: what is shipped, with the timeouts that RPB-1 prescribes. `changes` are lines of `defaults:`. */
export function subjectWith(changes = ''): Subject {
  const text = `
defaults:
  timeouts: { attempt: 1s, total: 8s }
  ${changes.trim().replaceAll('\n', '\n  ')}
upstreams:
  rpb: { url: https://rpb.example }
`;
  const loaded = loadConfig('rpb-1', {}, () => text);
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'));
  const upstream = loaded.config.upstreams[0]!;
  return { upstream, route: upstream.routes.at(-1) as RouteConfig };
}
