import { BadParameter, durationMs, durationRange, integer, oneOf, type Range, share } from './parameters.ts';
import { FORMS, type Form, type Forms } from './streams/frames.ts';

/** A fault within a stream, in place of one of its events: the nth from 1, the last, or the one in the middle. */
export interface StreamFault {
  /** `error`, `failed`: the two forms of an error that an API has; `end`: a clean end; `cut`: RST; `stall`: silence. */
  readonly kind: 'error' | 'failed' | 'end' | 'cut' | 'stall';
  readonly at: number | 'last' | 'middle';
}

/** How a stream is sent. `comments`, `pings`: nothing else, without an end. */
export type StreamAction = StreamFault | { readonly kind: 'comments' | 'pings' } | { readonly kind: 'whole' };

/** How the API handles one request. A `reply` below 300 is the resource itself, any other an error in JSON. */
export type Action =
  | { readonly kind: 'reply'; readonly status: number; readonly retryAfter: number | undefined }
  /** `reset`: RST before the head; `hang`: no answer; `close`: FIN before the head. */
  | { readonly kind: 'reset' }
  | { readonly kind: 'hang' }
  | { readonly kind: 'close' }
  | Exclude<StreamAction, { readonly kind: 'whole' }>;

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
  /** Number of events, or of pieces of an answer; undefined: not asked for. */
  readonly events: number | undefined;
  readonly intervalMs: number;
  /** Time from the head of a stream to its first event. */
  readonly firstEventMs: number;
  readonly forms: Forms;
}

/** Paths that fail without a query, for a first try. A query parameter of the same name has priority. */
const HABITS: Readonly<Record<string, string>> = { '/flaky': 'script=503,503,200', '/slow': 'delay=1-3s' };

const MAX_SCRIPT_STEPS = 100;
const MAX_SIZE_BYTES = 64 * 1024 * 1024;
const MAX_EVENTS = 10_000;
const MAX_RETRY_AFTER = 86_400;
const USUAL_INTERVAL_MS = 200;

/** Reads the query of a request to `path`, on top of the defaults of the API. Throws a BadParameter that names the problem. */
export function readWish(path: string, query: URLSearchParams, habits = ''): Wish {
  const asked = new URLSearchParams(HABITS[path] ?? habits);
  for (const [name, value] of query) asked.set(name, value);
  const get = (name: string) => asked.get(name) ?? undefined;

  const retryAfter = integer('retry_after', get('retry_after'), 0, MAX_RETRY_AFTER);
  const script = readScript(get('script'), retryAfter);
  if (script !== undefined) {
    for (const name of ['fail', 'status', 'reset', 'fault']) {
      if (query.has(name))
        throw new BadParameter(name, 'goes without script; write it as a step of the script');
    }
  }
  return {
    script,
    ...readFailure(get, retryAfter),
    delay: durationRange('delay', get('delay')) ?? { fromMs: 0, toMs: 0 },
    sizeBytes: integer('size', get('size'), 1, MAX_SIZE_BYTES),
    events: integer('sse', get('sse'), 1, MAX_EVENTS),
    intervalMs: durationMs('interval', get('interval')) ?? USUAL_INTERVAL_MS,
    firstEventMs: durationMs('first', get('first')) ?? 0,
    forms: readForms(get('form')),
  };
}

/** `status`, `reset`, `fault` or `retry_after` without `fail` applies to every request. */
function readFailure(get: (name: string) => string | undefined, retryAfter: number | undefined) {
  const given = ['status', 'reset', 'fault'].filter((name) => get(name) !== undefined);
  if (given.length > 1) throw new BadParameter(given[0] ?? '', `goes without ${given.slice(1).join()}`);
  const reset = oneOf('reset', get('reset'), ['before', 'body']);
  const status = integer('status', get('status'), 200, 599);
  const fault = get('fault');
  const always = given.length > 0 || retryAfter !== undefined;
  return { failure: failure(), fail: share('fail', get('fail')) ?? (always ? 1 : 0) };

  function failure(): Action {
    if (fault !== undefined) return readStep('fault', fault, retryAfter);
    if (reset === 'body') return { kind: 'cut', at: 'middle' };
    if (reset === 'before') return { kind: 'reset' };
    return { kind: 'reply', status: status ?? 503, retryAfter };
  }
}

function readForms(text: string | undefined): Forms {
  if (text === undefined) return new Set();
  return new Set(text.split(',').map((form) => oneOf('form', form.trim(), FORMS) as Form));
}

function readScript(text: string | undefined, retryAfter: number | undefined): readonly Action[] | undefined {
  if (text === undefined) return undefined;
  const steps = text.split(',').map((step) => readStep('script', step.trim(), retryAfter));
  if (steps.length > MAX_SCRIPT_STEPS) {
    throw new BadParameter('script', `has ${steps.length} steps; at most ${MAX_SCRIPT_STEPS} are allowed`);
  }
  return steps;
}

function readStep(parameter: string, step: string, retryAfter: number | undefined): Action {
  if (step === 'reset' || step === 'hang' || step === 'close') return { kind: step };
  if (step === 'comments' || step === 'pings') return { kind: step };
  const [, kind, at] = /^(error|failed|end|cut|stall)(?:@([1-9]\d{0,4}|last))?$/.exec(step) ?? [];
  if (kind !== undefined) return { kind: kind as StreamFault['kind'], at: placeOf(kind, at) };
  const [, status, seconds] = /^([2-5]\d\d)(?::(\d{1,5}))?$/.exec(step) ?? [];
  if (status === undefined) throw new BadParameter(parameter, `"${step}" is not a step; write ${STEPS}`);
  const waits = Number(status) < 300 ? undefined : retryAfter;
  return {
    kind: 'reply',
    status: Number(status),
    retryAfter: seconds === undefined ? waits : Number(seconds),
  };
}

const STEPS =
  'a status, 429:2, reset, cut, hang or close; for streams also error, failed, stall, end, cut, each with @3 or @last, comments or pings';

/** Without a place, a body breaks in the middle, and every other fault comes first. */
function placeOf(kind: string, at: string | undefined): StreamFault['at'] {
  if (at === 'last') return 'last';
  return at === undefined ? (kind === 'cut' ? 'middle' : 1) : Number(at);
}
