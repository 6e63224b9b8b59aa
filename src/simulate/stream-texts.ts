import type { Pointer } from '../http/json-pointer.ts';
import type { EventCondition, StreamErrorRule, StreamOptions } from '../policies/stream/options.ts';

/** The events of a simulated stream, as text. */
export interface StreamTexts {
  readonly good: string;
  readonly error: string;
}

/** Ends each good stream, as a comment that no rule sees. The simulated client recognises a good stream by it. */
export const GOOD_END = ': good\n\n';

/** A condition for routes without rules. */
const PLAIN_ERROR: EventCondition = { events: ['error'], data: [], body: [], text: [] };

/**
 * Streams that the rules of a route understand. The error fulfils the first rule for an error that passes: not for a quota, and not
 * for a request that is wrong.
 */
export function streamTexts(options: Pick<StreamOptions, 'errors' | 'done'> | undefined): StreamTexts {
  const errors = options?.errors ?? [];
  const error = errors.find(isPassing) ?? errors[0] ?? PLAIN_ERROR;
  const done = options?.done.map(eventFor)[0] ?? '';
  return { good: `event: simulated\ndata: {"n":1}\n\n${done}${GOOD_END}`, error: eventFor(error) };
}

const isPassing = ({ means, throttled }: StreamErrorRule): boolean =>
  means !== 'permanent' && means !== 'credential_refused' && !throttled;

/** An event that fulfils a condition. */
function eventFor({ events, data, body, text }: EventCondition): string {
  const [name] = events.map(plain);
  const [whole] = data.map(plain);
  const json = body.reduce<object>(
    (document, [pointer, [value = '']]) => withValue(document, pointer, plain(value)),
    {},
  );
  const found = whole ?? JSON.stringify(text.length === 0 ? json : { ...json, text: text[0] });
  return `${name === undefined ? '' : `event: ${name}\n`}data: ${found}\n\n`;
}

/** A `*` in a pattern matches any text, so also this. */
const plain = (pattern: string): string => pattern.replaceAll('*', 'x');

function withValue(document: object, [token = '', ...rest]: Pointer, value: string): object {
  const key = plain(token);
  const below = (document as Record<string, unknown>)[key];
  const inner =
    rest.length === 0 ? value : withValue(typeof below === 'object' ? (below ?? {}) : {}, rest, value);
  return { ...document, [key]: inner };
}
