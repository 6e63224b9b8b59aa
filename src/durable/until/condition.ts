import type { Expression } from '../../http/expression.ts';
import { headerOf, type RawHeaders } from '../../http/headers.ts';
import { type Pointer, valuesAt } from '../../http/json-pointer.ts';

/** A value that a condition compares with. */
export type Scalar = string | number | boolean | null;

/** What is asked of a value. One of them, or several that must all hold. */
export interface Test {
  readonly equals?: Scalar | undefined;
  readonly in?: readonly Scalar[] | undefined;
  /** Found anywhere in the text; the expression says where with `^` and `$`. */
  readonly matches?: Expression | undefined;
  readonly exists?: boolean | undefined;
  readonly gte?: number | undefined;
  readonly lte?: number | undefined;
}

/** All parts of a condition must hold. */
export interface Condition {
  readonly statuses?: ReadonlySet<number> | undefined;
  readonly subject?:
    | { readonly kind: 'header'; readonly name: string; readonly test: Test }
    | {
        readonly kind: 'json';
        readonly pointer: Pointer;
        readonly test: Test;
        /** With a `*` in the pointer: whether one item is enough. No item at all never is. */
        readonly items: 'any' | 'all';
      }
    | undefined;
  /** Where a failure's reason stands in the reply. */
  readonly message?: Pointer | undefined;
}

/** When a reply that is no error is the final one; each list holds alternatives. */
export interface Conditions {
  readonly success: readonly Condition[];
  readonly failure: readonly Condition[];
}

export interface PolledReply {
  readonly status: number;
  readonly headers: RawHeaders;
  /** Undefined when the body is no JSON. */
  readonly json: unknown;
  /** It is an error by its route's rules: then only what names its status holds. */
  readonly error?: boolean | undefined;
}

export type ConditionResult =
  | { readonly kind: 'success' }
  | { readonly kind: 'failure'; readonly message: string | undefined }
  | { readonly kind: 'pending' };

/** Whether a reply settles what is being polled for. A failure is looked for first: an API may say both. */
export function evaluate({ success, failure }: Conditions, reply: PolledReply): ConditionResult {
  const failed = failure.find((condition) => holds(condition, reply));
  if (failed !== undefined) return { kind: 'failure', message: messageOf(failed, reply) };
  return { kind: success.some((condition) => holds(condition, reply)) ? 'success' : 'pending' };
}

function holds({ statuses, subject }: Condition, reply: PolledReply): boolean {
  if (statuses === undefined ? reply.error : !statuses.has(reply.status)) return false;
  if (subject === undefined) return statuses !== undefined;
  if (subject.kind === 'header') {
    const value = headerOf(reply.headers, subject.name);
    return passes(value, subject.test);
  }
  // Of what cannot be read, it cannot be said that something is missing in it.
  if (reply.json === undefined) return false;
  const values = valuesAt(reply.json, subject.pointer);
  if (values.length === 0) return passes(undefined, subject.test);
  const pass = (value: unknown) => passes(value, subject.test);
  return subject.items === 'all' ? values.every(pass) : values.some(pass);
}

/** `undefined` stands for what is not there, which passes nothing but `exists: false`. */
function passes(value: unknown, { exists, ...test }: Test): boolean {
  const there = value !== undefined;
  if (exists !== undefined && there !== exists) return false;
  if (!there) return exists === false;
  return fits(value, test);
}

function fits(value: unknown, { equals, in: list, matches, gte, lte }: Test): boolean {
  if (equals !== undefined && !same(value, equals)) return false;
  if (list !== undefined && !list.some((each) => same(value, each))) return false;
  if (matches !== undefined && !found(matches, asText(value))) return false;
  return within(value, gte, lte);
}

function within(value: unknown, gte: number | undefined, lte: number | undefined): boolean {
  if (gte === undefined && lte === undefined) return true;
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof number !== 'number' || Number.isNaN(number)) return false;
  return number >= (gte ?? -Infinity) && number <= (lte ?? Infinity);
}

/** A header, and many an API's JSON, says numbers and booleans as text. */
function same(value: unknown, expected: Scalar): boolean {
  return value === expected || (typeof value === 'string' && expected !== null && value === String(expected));
}

/** Longer texts match nothing: whoever writes them must not decide how long the looking takes. */
const MAX_TEXT = 256;

const found = (expression: Expression, text: string): boolean =>
  text.length <= MAX_TEXT && expression.test(text);

const asText = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

const MAX_MESSAGE = 500;

function messageOf({ message }: Condition, { json }: PolledReply): string | undefined {
  if (message === undefined) return undefined;
  const [value] = valuesAt(json, message);
  return value === undefined || value === null ? undefined : asText(value).slice(0, MAX_MESSAGE);
}
