import { parsePointer } from '../../http/json-pointer.ts';
import type { EventCondition, StreamErrorRule, StreamOptions } from '../../policies/stream/options.ts';
import { ERROR_EVENT_STATUS, type StreamInput } from '../keys/stream.ts';
import type { Path } from '../read/problem.ts';
import type { Report } from '../read/report.ts';
import type { Origins, Settings } from './context.ts';

type Conditions = Pick<NonNullable<StreamInput['done']>[number], 'event' | 'data' | 'body' | 'text'>;
type WrittenError = NonNullable<StreamInput['error']>[number];

/** The keys that are lists of conditions. */
const KEYS = ['ignore', 'error', 'done'] as const;

/** The options of the policy; undefined if nothing is watched. */
export function streamOptions(stream: Settings['stream']): StreamOptions | undefined {
  const { ignore = [], error = [], done = [] } = stream as StreamInput;
  const { first_event: first, event_gap: gap } = stream;
  if (first === null && gap === null && error.length === 0 && done.length === 0) return undefined;
  return {
    firstEventMs: first ?? undefined,
    eventGapMs: gap ?? undefined,
    ignore: ignore.map(condition),
    errors: error.map(errorRule),
    done: done.map(condition),
    holdBytes: stream.hold,
  };
}

function errorRule(written: WrittenError): StreamErrorRule {
  const { name, status = ERROR_EVENT_STATUS, means, throttled = false, wait } = written;
  return { ...condition(written), name, status, means, throttled, wait };
}

function condition({ event = [], data = [], body = {}, text = [] }: Conditions): EventCondition {
  const pointers = Object.entries(body).map(
    ([pointer, found = []]) => [parsePointer(pointer) ?? [], found] as const,
  );
  return { events: event, data, body: pointers, text };
}

/** Reports conditions that every event fulfils: they would make each event an error, the end, or nothing. */
export function checkStream(stream: StreamInput | undefined, path: Path, report: Report): void {
  for (const key of KEYS) {
    stream?.[key]?.forEach(({ event, data, body, text }, index) => {
      if (event !== undefined || data !== undefined || body !== undefined || text !== undefined) return;
      report.problem([...path, key, index], 'matches every event; write event, data, body or text');
    });
  }
}

/** As `checkStream`, once for each place in the file. */
export function checkStreams(origins: Origins, report: Report): void {
  const seen = new Set<unknown>();
  for (const { values, origins: set } of origins.values()) {
    for (const key of KEYS) {
      const origin = set.get(`stream.${key}`);
      const list = (values.stream as StreamInput)[key];
      if (origin === undefined || origin.layer.describe !== undefined || seen.has(list)) continue;
      seen.add(list);
      checkStream({ [key]: list }, origin.path.slice(0, -1), report);
    }
  }
}
