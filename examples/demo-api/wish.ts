import { BadParameter, durationMs, durationRange, integer, oneOf, type Range, share } from './parameters.ts';

/** How the API handles one request. A `reply` below 300 is the resource itself, any other an error in JSON. */
export type Action =
  | { readonly kind: 'reply'; readonly status: number; readonly retryAfter: number | undefined }
  /** `reset`: RST before the head; `cut`: RST in the body; `hang`: no answer; `close`: FIN before the head. */
  | { readonly kind: 'reset' | 'cut' | 'hang' | 'close' };

/** The status of the head, if one is sent. 200 is the plain success, so the path's own 201 shows through it. */
export function statusOf(action: Action, usualStatus: number): number {
  return action.kind === 'reply' && action.status !== 200 ? action.status : usualStatus;
}

/** The behaviour that the query of a request asks for. */
export interface Wish {
  /** One step per request to the same path and query, then again from the start. */
  readonly script: readonly Action[] | undefined;
  /** Share of requests that get `failure`, 0 to 1. */
  readonly fail: number;
  readonly failure: Action;
  readonly delay: Range;
  /** Size of a successful reply's body; undefined: the resource in JSON. */
  readonly sizeBytes: number | undefined;
  readonly events: { readonly count: number; readonly intervalMs: number } | undefined;
}

/** Paths that fail without a query, for a first try. A query parameter of the same name has priority. */
const HABITS: Readonly<Record<string, string>> = { '/flaky': 'script=503,503,200', '/slow': 'delay=1-3s' };

const MAX_SCRIPT_STEPS = 100;
const MAX_SIZE_BYTES = 64 * 1024 * 1024;
const MAX_EVENTS = 10_000;
const MAX_RETRY_AFTER = 86_400;

/** Reads the query of a request to `path`, on top of the defaults of the API. Throws a BadParameter that names the problem. */
export function readWish(path: string, query: URLSearchParams, habits = ''): Wish {
  const asked = new URLSearchParams(HABITS[path] ?? habits);
  for (const [name, value] of query) asked.set(name, value);
  const get = (name: string) => asked.get(name) ?? undefined;

  const retryAfter = integer('retry_after', get('retry_after'), 0, MAX_RETRY_AFTER);
  const script = readScript(get('script'), retryAfter);
  if (script !== undefined) {
    for (const name of ['fail', 'status', 'reset']) {
      if (query.has(name))
        throw new BadParameter(name, 'goes without script; write it as a step of the script');
    }
  }
  const count = integer('sse', get('sse'), 1, MAX_EVENTS);
  return {
    script,
    ...readFailure(get, retryAfter),
    delay: durationRange('delay', get('delay')) ?? { fromMs: 0, toMs: 0 },
    sizeBytes: integer('size', get('size'), 1, MAX_SIZE_BYTES),
    events:
      count === undefined ? undefined : { count, intervalMs: durationMs('interval', get('interval')) ?? 200 },
  };
}

/** `status`, `reset` or `retry_after` without `fail` applies to every request. */
function readFailure(get: (name: string) => string | undefined, retryAfter: number | undefined) {
  const reset = oneOf('reset', get('reset'), ['before', 'body']);
  const status = integer('status', get('status'), 200, 599);
  if (reset !== undefined && status !== undefined) throw new BadParameter('status', 'goes without reset');
  const failure: Action =
    reset === undefined
      ? { kind: 'reply', status: status ?? 503, retryAfter }
      : { kind: reset === 'body' ? 'cut' : 'reset' };
  const always = reset !== undefined || status !== undefined || retryAfter !== undefined;
  return { failure, fail: share('fail', get('fail')) ?? (always ? 1 : 0) };
}

function readScript(text: string | undefined, retryAfter: number | undefined): readonly Action[] | undefined {
  if (text === undefined) return undefined;
  const steps = text.split(',').map((step) => readStep(step.trim(), retryAfter));
  if (steps.length > MAX_SCRIPT_STEPS) {
    throw new BadParameter('script', `has ${steps.length} steps; at most ${MAX_SCRIPT_STEPS} are allowed`);
  }
  return steps;
}

function readStep(step: string, retryAfter: number | undefined): Action {
  if (step === 'reset' || step === 'cut' || step === 'hang' || step === 'close') return { kind: step };
  const [, status, seconds] = /^([2-5]\d\d)(?::(\d{1,5}))?$/.exec(step) ?? [];
  if (status === undefined) {
    throw new BadParameter(
      'script',
      `"${step}" is not a step; write a status, 429:2, reset, cut, hang or close`,
    );
  }
  const waits = Number(status) < 300 ? undefined : retryAfter;
  return {
    kind: 'reply',
    status: Number(status),
    retryAfter: seconds === undefined ? waits : Number(seconds),
  };
}
