import type { PollDelay } from '../../durable/until/delay.ts';
import type { PollOptions } from '../../durable/until/options.ts';
import { formatDuration } from '../fields/format.ts';
import { CONDITION_KEYS, conditionProblem, conditionsOf } from '../keys/until.ts';
import type { Path } from '../read/problem.ts';
import type { Report } from '../read/report.ts';
import type { Settings } from './context.ts';
import type { Inherited, Origin } from './inherit.ts';

type Written = Settings['durable']['until'];

/** How a durable route polls. `deadlineMs` replaces the deadline of the route; undefined: not written. */
export interface Polling {
  readonly poll: PollOptions;
  readonly deadlineMs: number | undefined;
}

const UNTIL = 'durable.until';
const POLL = 'durable.poll';

/** The one of until and poll that is in effect: that of the inner layer. */
interface Chosen {
  /** `durable.until` or `durable.poll`. */
  readonly section: string;
  /** Key of the section with its conditions. */
  readonly until: string;
  readonly written: Written;
  readonly target: PollOptions['target'];
  readonly origin: Origin;
}

/** Options of polling; undefined if every successful reply is final. Reports contradictions. */
export function pollingOf(
  settings: Inherited<Settings>,
  durable: boolean,
  report: Report,
): Polling | undefined {
  const chosen = choose(settings, report);
  if (chosen === undefined) return undefined;
  const { section, until, written, target, origin } = chosen;
  if (!durable) {
    const message = 'has no effect, because durable is off here; write durable: { mode: on } here';
    report.warning(sectionPath(origin, section), message);
    return undefined;
  }
  if (section === POLL && target === undefined) {
    const message = 'has no target; write for example target: header:location';
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
    const message = 'cannot be combined with poll, which has its own until; remove one';
    report.problem(sectionPath(ofUntil, UNTIL), message, 'key');
  }
  if (ofPoll !== undefined && ofPoll.depth >= (ofUntil?.depth ?? 0)) {
    // The target has no built-in value, so it may be missing, although the type says otherwise.
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
      'has no success, so no reply could be final; write for example success: [{ json: /status, in: [settled] }]';
    report.problem(sectionPath(origin, section), message, 'key');
  }
  for (const name of ['success', 'failure'] as const) {
    const at = origins.get(`${until}.${name}`)?.path ?? [];
    lists[name]?.forEach((one, index) => {
      const found = conditionProblem(one);
      // A key with a problem of its own is missing here.
      if (found === undefined || CONDITION_KEYS.some((key) => report.knows([...at, index, key]))) return;
      const key = found.key === '' ? [] : [found.key];
      report.problem([...at, index, ...key], found.problem, 'key');
    });
  }
}

/** A built-in wait is adjusted to a written one. Of two written ones, that of the inner layer is reported. */
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

/** The origin of the innermost value below `prefix`. */
function deepest({ origins }: Inherited<Settings>, prefix: string): Origin | undefined {
  return origins
    .written(prefix)
    .map(([, origin]) => origin)
    .sort((a, b) => b.depth - a.depth)[0];
}

/** Path of the section of a key. */
function sectionPath({ layer, path }: Origin, key: string): Path {
  const length = layer.path.length + key.split('.').length;
  return path.slice(0, length);
}
