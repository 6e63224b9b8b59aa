import type { PollDelay } from '../../durable/until/delay.ts';
import type { PollOptions } from '../../durable/until/options.ts';
import { formatDuration } from '../fields/format.ts';
import { CONDITION_KEYS, conditionProblem, conditionsOf } from '../keys/until.ts';
import type { Path } from '../read/problem.ts';
import type { Report } from '../read/report.ts';
import type { Settings } from './ground.ts';
import type { Inherited, Origin } from './inherit.ts';

type Written = Settings['durable']['until'];

/** How a durable route polls; `deadlineMs` takes the place of the route's own where it is written. */
export interface Polling {
  readonly poll: PollOptions;
  readonly deadlineMs: number | undefined;
}

const UNTIL = 'durable.until';
const POLL = 'durable.poll';

/** One of the two ways, as it was written furthest inside. */
interface Chosen {
  /** `durable.until` or `durable.poll`. */
  readonly section: string;
  /** Where its conditions are. */
  readonly until: string;
  readonly written: Written;
  readonly target: PollOptions['target'];
  readonly origin: Origin;
}

/** Undefined where every good reply is the final one. Reports what contradicts itself. */
export function pollingOf(
  settings: Inherited<Settings>,
  durable: boolean,
  report: Report,
): Polling | undefined {
  const chosen = choose(settings, report);
  if (chosen === undefined) return undefined;
  const { section, until, written, target, origin } = chosen;
  if (!durable) {
    const message = 'has no effect, because durable is off here; write mode: on beside it';
    report.warning(sectionPath(origin, section), message);
    return undefined;
  }
  if (section === POLL && target === undefined) {
    const message = 'says not what to poll; write for example target: header:location';
    report.problem(sectionPath(origin, POLL), message, 'key');
  }
  checkConditions(chosen, settings, report);
  const deadline = settings.origins.get(`${until}.deadline`);
  return {
    poll: {
      conditions: conditionsOf(written),
      delay: delayOf(chosen, settings, report),
      target,
    },
    deadlineMs: deadline?.layer.name === undefined ? undefined : written.deadline,
  };
}

function choose(settings: Inherited<Settings>, report: Report): Chosen | undefined {
  const { until, poll } = settings.values.durable;
  const origins = [deepest(settings, `${UNTIL}.`), deepest(settings, `${POLL}.`)] as const;
  const [ofUntil, ofPoll] = origins;
  if (ofUntil !== undefined && ofUntil.depth === ofPoll?.depth) {
    const message = 'stands beside poll, which has an until of its own; keep one of the two';
    report.problem(sectionPath(ofUntil, UNTIL), message, 'key');
  }
  if (ofPoll !== undefined && ofPoll.depth >= (ofUntil?.depth ?? 0)) {
    // What nothing is built in for may be missing, whatever the type says.
    const target = poll.target as PollOptions['target'];
    return { section: POLL, until: `${POLL}.until`, written: poll.until, target, origin: ofPoll };
  }
  return ofUntil && { section: UNTIL, until: UNTIL, written: until, target: undefined, origin: ofUntil };
}

function checkConditions(
  { until, written, origin, section }: Chosen,
  { origins }: Inherited<Settings>,
  report: Report,
): void {
  const lists: Partial<Written> = written;
  if (lists.success?.[0] === undefined) {
    const message =
      'has no success, so that nothing could ever be final; write for example success: [{ json: /status, in: [settled] }]';
    report.problem(sectionPath(origin, section), message, 'key');
  }
  for (const name of ['success', 'failure'] as const) {
    const at = origins.get(`${until}.${name}`)?.path ?? [];
    lists[name]?.forEach((one, index) => {
      const found = conditionProblem(one);
      // A key that is written and wrong is missing here.
      if (found === undefined || CONDITION_KEYS.some((key) => report.knows([...at, index, key]))) return;
      const key = found.key === '' ? [] : [found.key];
      report.problem([...at, index, ...key], found.problem, 'key');
    });
  }
}

/** What is built in bends to what is written; of two that are, the one further inside is called wrong. */
function delayOf(
  { until, written: { delay } }: Chosen,
  { origins }: Inherited<Settings>,
  report: Report,
): PollDelay {
  const [low, high] = [origins.get(`${until}.delay.min`), origins.get(`${until}.delay.max`)];
  if (delay.min <= delay.max || low === undefined || high === undefined)
    return { minMs: delay.min, maxMs: delay.max };
  if (high.layer.name === undefined) return { minMs: delay.min, maxMs: delay.min };
  const [min, max] = [formatDuration(delay.min), formatDuration(delay.max)];
  if (high.depth < low.depth)
    report.problem(low.path, `${min} is above max, which is ${max}; lower it or raise max`);
  else if (low.layer.name !== undefined)
    report.problem(high.path, `${max} is below min, which is ${min}; raise it or lower min`);
  return { minMs: delay.max, maxMs: delay.max };
}

/** Who wrote something below `prefix`, furthest inside. */
function deepest({ origins }: Inherited<Settings>, prefix: string): Origin | undefined {
  return [...origins]
    .filter(([key, { layer }]) => key.startsWith(prefix) && layer.name !== undefined)
    .map(([, origin]) => origin)
    .sort((a, b) => b.depth - a.depth)[0];
}

/** Where the section is written that holds the key. */
function sectionPath({ layer, path }: Origin, key: string): Path {
  const length = layer.path.length + key.split('.').length;
  return path.slice(0, length);
}
