import { type Document, documentOf, fits } from '../../http/document.ts';
import { errorWaitMs } from '../../http/error-wait.ts';
import type { StreamEvent } from '../../http/event-stream/event.ts';
import type { RawHeaders } from '../../http/headers.ts';
import type { ReplyClassification } from '../../http/reply.ts';
import { matchesAny } from '../../http/wildcard.ts';
import type { EventCondition, StreamErrorRule, StreamOptions } from './options.ts';

/** An event that an error rule matches. */
export interface ErrorEvent {
  readonly status: number;
  readonly classification: ReplyClassification;
}

/** `ignored`: the event is not meaningful. `done`: it ends a complete stream. */
export type EventMeaning = 'meaningful' | 'ignored' | 'done' | ErrorEvent;

interface Condition<C extends EventCondition> {
  readonly rule: C;
  /** Parts that the data must contain, else it need not be parsed: the first key of each pointer. */
  readonly needed: readonly string[];
}

/** Decides what an event means. Most events are parts of an answer, so JSON is parsed only if a rule may match. */
export class EventMatcher {
  readonly #errors: readonly Condition<StreamErrorRule>[];
  readonly #done: readonly Condition<EventCondition>[];
  readonly #ignored: readonly Condition<EventCondition>[];

  constructor({ errors, done, ignore }: Pick<StreamOptions, 'errors' | 'done' | 'ignore'>) {
    this.#errors = errors.map(compiled);
    this.#done = done.map(compiled);
    this.#ignored = ignore.map(compiled);
  }

  /** `headers`: of the reply. */
  meaningOf(event: StreamEvent, headers: RawHeaders, nowWallMs: number): EventMeaning {
    const parsed = new Parsed(event.data);
    const error = this.#errors.find((condition) => holds(condition, event, parsed));
    if (error !== undefined) return errorEvent(error.rule, headers, parsed, nowWallMs);
    const isOneOf = (conditions: readonly Condition<EventCondition>[]) =>
      conditions.some((condition) => holds(condition, event, parsed));
    if (isOneOf(this.#done)) return 'done';
    return event.data === '' || isOneOf(this.#ignored) ? 'ignored' : 'meaningful';
  }
}

/** The data of one event, parsed at most once. */
class Parsed {
  readonly data: string | undefined;
  #document: Document | undefined;

  constructor(data: string | undefined) {
    this.data = data;
  }

  get document(): Document | undefined {
    if (this.data !== undefined) this.#document ??= documentOf(this.data);
    return this.#document;
  }
}

function compiled<C extends EventCondition>(rule: C): Condition<C> {
  const needed = rule.body.flatMap(([pointer]) => pointer.slice(0, 1)).filter((key) => key !== '*');
  return { rule, needed: needed.filter((key) => /^[\w-]+$/.test(key)).map((key) => `"${key}"`) };
}

function holds({ rule, needed }: Condition<EventCondition>, { name }: StreamEvent, parsed: Parsed): boolean {
  if (rule.events.length > 0 && !matchesAny(name, rule.events)) return false;
  const { data } = parsed;
  if (rule.data.length > 0 && (data === undefined || !fitsOneOf(data, rule.data))) return false;
  if (rule.body.length === 0 && rule.text.length === 0) return true;
  return needed.every((part) => data?.includes(part)) && fits(rule, parsed.document);
}

/** Most data is longer than a pattern without `*`, which is clear without a comparison. */
function fitsOneOf(data: string, patterns: readonly string[]): boolean {
  const possible = patterns.filter((pattern) => pattern.includes('*') || pattern.length === data.length);
  return possible.length > 0 && matchesAny(data, possible);
}

function errorEvent(
  { name, status, means, throttled, wait }: StreamErrorRule,
  headers: RawHeaders,
  parsed: Parsed,
  nowWallMs: number,
): ErrorEvent {
  const retryAfterMs = wait && errorWaitMs(wait, headers, parsed.document?.json, nowWallMs);
  return { status, classification: { name, kind: means, throttled, retryAfterMs } };
}
