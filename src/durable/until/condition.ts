import type { Expression } from '../../http/expression.ts';
import { headerOf, type RawHeaders } from '../../http/headers.ts';
import { type Pointer, valuesAt } from '../../http/json-pointer.ts';

/** A value that a condition compares with. */
export type Scalar = string | number | boolean | null;

/** Tests of a value. At least one; all must hold. */
export interface Test {
  readonly equals?: Scalar | undefined;
  readonly in?: readonly Scalar[] | undefined;
  /** Matches anywhere in the text, unless `^` and `$` anchor it. */
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
        /** With `*` in the pointer: whether one item is enough. Without items, the test never holds. */
        readonly items: 'any' | 'all';
      }
    | undefined;
  /** Where the reply contains the reason of a failure. */
  readonly message?: Pointer | undefined;
}

/** Which replies are final. The entries of each list are alternatives. */
export interface Conditions {
  readonly success: readonly Condition[];
  readonly failure: readonly Condition[];
}

export interface PolledReply {
  readonly status: number;
  readonly headers: RawHeaders;
  /** Undefined if the body is not JSON. */
  readonly json: unknown;
  /** The route's rules classify it as an error. Then only conditions that name its status can hold. */
  readonly error?: boolean | undefined;
}

export type ConditionResult =
  | { readonly kind: 'success' }
  | { readonly kind: 'failure'; readonly message: string | undefined }
  | { readonly kind: 'pending' };

/** Decides whether a reply is final. Failure conditions come first, because an API may report both. */
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
  // A body that cannot be read cannot prove that a value is missing.
  if (reply.json === undefined) return false;
  const values = valuesAt(reply.json, subject.pointer);
  if (values.length === 0) return passes(undefined, subject.test);
  const pass = (value: unknown) => passes(value, subject.test);
  return subject.items === 'all' ? values.every(pass) : values.some(pass);
}

/** `undefined` is a missing value. Only `exists: false` accepts it. */
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

/** Headers, and the JSON of many APIs, contain numbers and booleans as text. */
function same(value: unknown, expected: Scalar): boolean {
  return value === expected || (typeof value === 'string' && expected !== null && value === String(expected));
}

/** A longer text never matches, so that a reply cannot make matching slow. */
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
