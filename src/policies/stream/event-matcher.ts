import { type Document, documentOf, fits } from '../../http/document.ts';
import { errorWaitMs } from '../../http/error-wait.ts';
import { LineEvent, type StreamEvent } from '../../http/event-stream/event.ts';
import type { RawHeaders } from '../../http/headers.ts';
import type { ReplyClassification } from '../../http/reply.ts';
import { matchesAny } from '../../http/wildcard.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { EventCondition, StreamErrorRule, StreamOptions } from './options.ts';
import { PartSearch } from './part-search.ts';

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

/** The conditions that can hold for events of one name. */
interface Conditions {
  readonly errors: readonly Condition<StreamErrorRule>[];
  readonly done: readonly Condition<EventCondition>[];
  readonly ignored: readonly Condition<EventCondition>[];
}

/** Finds events from their bytes alone that are meaningful, because no condition can hold. */
interface Shortcut {
  /** Shorter data can be the whole data of a condition. */
  readonly minBytes: number;
  /** Each of the other conditions needs one of these parts. */
  readonly parts: PartSearch;
}

/** The part of the rules that an event name decides. */
interface Named {
  readonly conditions: Conditions;
  /** Undefined if a condition needs the text of every event. */
  readonly shortcut: Shortcut | undefined;
}

/** Names whose conditions are remembered. An API has some dozens, and an upstream could send any number. */
const MAX_NAMES = 100;

/** A longer name is not remembered. */
const MAX_NAME_LENGTH = 100;

/** Decides what an event means. Most events are parts of an answer, so JSON is parsed only if a rule may match. */
export class EventMatcher {
  readonly #all: Conditions;
  readonly #byName = new Map<string, Named>();

  constructor({ errors, done, ignore }: Pick<StreamOptions, 'errors' | 'done' | 'ignore'>) {
    this.#all = { errors: errors.map(compiled), done: done.map(compiled), ignored: ignore.map(compiled) };
  }

  /** `headers`: of the reply. */
  meaningOf(event: StreamEvent, headers: RawHeaders, clock: Pick<Clock, 'wallTime'>): EventMeaning {
    const { conditions, shortcut } = this.#named(event.name);
    if (shortcut !== undefined && event instanceof LineEvent && isPlain(event, shortcut)) return 'meaningful';
    const { errors, done, ignored } = conditions;
    const parsed = new Parsed(event.data);
    const error = firstThatHolds(errors, parsed);
    if (error !== undefined) return errorEvent(error.rule, headers, parsed, clock.wallTime());
    if (firstThatHolds(done, parsed) !== undefined) return 'done';
    return parsed.data === '' || firstThatHolds(ignored, parsed) !== undefined ? 'ignored' : 'meaningful';
  }

  #named(name: string): Named {
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    const conditions = this.#conditionsOf(name);
    if (this.#byName.size === MAX_NAMES || name.length > MAX_NAME_LENGTH)
      return { conditions, shortcut: undefined };
    const named = { conditions, shortcut: shortcutOf(conditions) };
    this.#byName.set(name, named);
    return named;
  }

  #conditionsOf(name: string): Conditions {
    const named = ({ rule: { events } }: Condition<EventCondition>) =>
      events.length === 0 || matchesAny(name, events);
    const { errors, done, ignored } = this.#all;
    return { errors: errors.filter(named), done: done.filter(named), ignored: ignored.filter(named) };
  }
}

/** A character of a text has at most this many bytes in UTF-8 for each of its units. */
const BYTES_A_UNIT = 3;

function shortcutOf({ errors, done, ignored }: Conditions): Shortcut | undefined {
  const parts = new Set<string>();
  let minBytes = 1;
  for (const { rule, needed } of [...errors, ...done, ...ignored]) {
    const [part] = needed;
    if (part !== undefined) parts.add(part);
    else if (rule.data.length === 0 || rule.data.some((pattern) => pattern.includes('*'))) return undefined;
    else for (const { length } of rule.data) minBytes = Math.max(minBytes, BYTES_A_UNIT * length + 1);
  }
  return { minBytes, parts: new PartSearch([...parts]) };
}

const isPlain = ({ bytes, from, to }: LineEvent, { minBytes, parts }: Shortcut): boolean =>
  to - from >= minBytes && !parts.isIn(bytes, from, to);

/** The data of one event, parsed at most once. */
class Parsed {
  readonly data: string | undefined;
  #document: Document | undefined;
  /** Many rules need the same part, so the last answer is remembered. */
  #part = '';
  #contained = true;

  constructor(data: string | undefined) {
    this.data = data;
  }

  get document(): Document | undefined {
    if (this.data !== undefined) this.#document ??= documentOf(this.data);
    return this.#document;
  }

  contains(part: string): boolean {
    if (part !== this.#part) {
      this.#part = part;
      this.#contained = this.data?.includes(part) === true;
    }
    return this.#contained;
  }
}

function compiled<C extends EventCondition>(rule: C): Condition<C> {
  const needed = rule.body.flatMap(([pointer]) => pointer.slice(0, 1)).filter((key) => key !== '*');
  return { rule, needed: needed.filter((key) => /^[\w-]+$/.test(key)).map((key) => `"${key}"`) };
}

function firstThatHolds<C extends EventCondition>(
  conditions: readonly Condition<C>[],
  parsed: Parsed,
): Condition<C> | undefined {
  for (const condition of conditions) if (holds(condition, parsed)) return condition;
  return undefined;
}

/** Whether a condition holds for an event of a name that fits it. */
function holds({ rule, needed }: Condition<EventCondition>, parsed: Parsed): boolean {
  const { data } = parsed;
  if (rule.data.length > 0 && (data === undefined || !fitsOneOf(data, rule.data))) return false;
  if (rule.body.length === 0 && rule.text.length === 0) return true;
  for (const part of needed) if (!parsed.contains(part)) return false;
  return fits(rule, parsed.document);
}

/** Most data is longer than a pattern without `*`, which is clear without a comparison. */
function fitsOneOf(data: string, patterns: readonly string[]): boolean {
  const possible = patterns.some((pattern) => pattern.length === data.length || pattern.includes('*'));
  return possible && matchesAny(data, patterns);
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
