import * as z from 'zod';
import type { Condition, Conditions, Scalar, Test } from '../../durable/until/condition.ts';
import type { PollTarget } from '../../durable/until/options.ts';
import { type Expression, parseExpression } from '../../http/expression.ts';
import { type Pointer, parsePointer } from '../../http/json-pointer.ts';
import { field, section } from '../fields/field.ts';
import { choice, duration, flag, replyStatuses, text } from '../fields/fields.ts';
import { type Parsed, quote } from '../fields/units.ts';
import { checkHeaderName } from '../fields/words.ts';

function pointer(doc: string) {
  return field<Pointer>(
    { kind: 'other', doc, builtIn: undefined, type: 'a JSON pointer', json: { type: 'string' } },
    (found) => {
      const value = typeof found === 'string' ? parsePointer(found) : undefined;
      return value === undefined
        ? { problem: `${quote(found)} is not a JSON pointer; write for example /status` }
        : { value };
    },
  );
}

const isScalar = (found: unknown): found is Scalar =>
  found === null || ['string', 'number', 'boolean'].includes(typeof found);

const equals = field<Scalar>(
  {
    kind: 'other',
    doc: 'The value must be equal to this. 7 also matches "7".',
    builtIn: undefined,
    type: 'a text, a number, true or false',
    json: { type: ['string', 'number', 'boolean'] },
  },
  (found) =>
    isScalar(found)
      ? { value: found }
      : { problem: `${quote(found)} is not a single value; write in: for a list` },
);

const oneOf = field<readonly Scalar[]>(
  {
    kind: 'other',
    doc: 'The value must be one of these.',
    builtIn: undefined,
    type: 'a list of values',
    json: { type: 'array', items: { type: ['string', 'number', 'boolean', 'null'] } },
  },
  (found) =>
    Array.isArray(found) && found.length > 0 && found.every(isScalar)
      ? { value: found }
      : { problem: `${quote(found)} is not a list of values; write for example [settled, captured]` },
);

const matches = field<Expression>(
  {
    kind: 'other',
    doc: 'The value must match this regular expression, such as ^paid. RE2 syntax: no look-around and no back references, so that matching is always fast.',
    builtIn: undefined,
    type: 'a regular expression',
    json: { type: 'string' },
  },
  (found) =>
    typeof found === 'string' ? parseExpression(found) : { problem: `${quote(found)} is not text` },
);

function bound(doc: string) {
  return field<number>(
    { kind: 'other', doc, builtIn: undefined, type: 'a number', json: { type: 'number' } },
    (found) =>
      typeof found === 'number' && Number.isFinite(found)
        ? { value: found }
        : { problem: `${quote(found)} is not a number` },
  );
}

const condition = section('A condition on a reply. All keys that are written must hold.', {
  status: replyStatuses(
    'A status or a list of them. An error status, such as 404, matches only if it is named here.',
  ),
  header: text(undefined, 'A response header to compare.', checkHeaderName),
  json: pointer('JSON pointer to the value to compare. * is every item of a list.'),
  equals,
  in: oneOf,
  matches,
  exists: flag(undefined, 'true: the value must exist. false: it must not exist.'),
  gte: bound('The value must be a number of at least this.'),
  lte: bound('The value must be a number of at most this.'),
  items: choice(
    ['any', 'all'],
    undefined,
    'With * in the pointer: any: one item must match. all: every item must match. Default: any.',
  ),
  message: pointer('JSON pointer to the reason in the reply, for the error that is shown.'),
});

const alternatives = (description: string) =>
  z.array(condition).register(z.globalRegistry, { description }).optional();

/** Conditions that make a successful reply the final one. */
export const until = section(
  'The request is sent again until a successful reply meets one of these conditions.',
  {
    success: alternatives('If one of these holds, the reply is the result. failure is checked first.'),
    failure: alternatives('If one of these holds, the request has failed with the code condition_failed.'),
    delay: section('Waits between polls. A Retry-After replaces them, up to max.', {
      min: duration('2s', 'The shortest wait.', { min: 100 }),
      max: duration('2m', 'The longest wait. Waits double from min to max, with jitter.', {
        min: 100,
      }),
    }).optional(),
    deadline: duration(
      '24h',
      'Replaces durable.deadline if written: time from acceptance to the end. The last poll is sent exactly at the deadline.',
      { min: 1_000, max: 366 * 86_400_000 },
    ),
  },
  'until',
);

const TARGET_TYPE = 'header:location or a path such as /payments/{json:/id}/status';

const target = field<PollTarget>(
  {
    kind: 'other',
    doc: 'What to poll with GET: header:location, header:operation-location, or a path below the URL of the upstream, with values from the JSON of the reply. Always on the same upstream.',
    builtIn: undefined,
    type: TARGET_TYPE,
    json: { type: 'string', pattern: '^(header:|/)' },
  },
  (found) => parseTarget(found),
);

function parseTarget(found: unknown): Parsed<PollTarget> {
  const problem = { problem: `${quote(found)} is not ${TARGET_TYPE}` };
  if (typeof found !== 'string') return problem;
  if (found.startsWith('header:')) {
    const name = found.slice('header:'.length);
    return checkHeaderName(name) === undefined
      ? { value: { from: 'header', name: name.toLowerCase() } }
      : problem;
  }
  if (!found.startsWith('/') || /[#\s]/.test(found)) return problem;
  const parts = partsOf(found);
  return parts === undefined ? problem : { value: { from: 'path', parts } };
}

/** Literal text and pointers, alternating. */
function partsOf(path: string): (string | Pointer)[] | undefined {
  const pieces = path.split(/\{json:(\/[^{}]*)\}/);
  const parts = pieces.map((piece, index) => (index % 2 === 0 ? plain(piece) : one(parsePointer(piece))));
  return parts.every((part) => part !== undefined) ? parts.filter((part) => part !== '') : undefined;
}

const plain = (piece: string): string | undefined => (/[{}]/.test(piece) ? undefined : piece);
const one = (found: Pointer | undefined): Pointer | undefined =>
  found?.includes('*') === true ? undefined : found;

/** The request is sent once, and another URL is polled. */
export const poll = section(
  'The request is sent once. Then the target in its reply is polled until a condition holds.',
  { target, until: until.optional() },
  'poll',
);

type WrittenCondition = z.output<typeof condition>;
type Lists = { readonly [K in 'success' | 'failure']?: readonly WrittenCondition[] | undefined };

/** A problem of a condition as a whole, and the key that causes it ('' for no single key). */
export function conditionProblem(written: WrittenCondition): { key: string; problem: string } | undefined {
  const subjects = (['header', 'json'] as const).filter((key) => written[key] !== undefined);
  const test = TESTS.find((key) => written[key] !== undefined);
  const [subject, other] = subjects;
  if (other !== undefined)
    return {
      key: other,
      problem: 'cannot be combined with header in one entry; write two entries, or remove one',
    };
  if (subject !== undefined && test === undefined)
    return {
      key: subject,
      problem: 'has no comparison; add equals, in, matches, exists, gte or lte',
    };
  if (subject !== undefined) return undefined;
  if (test !== undefined) return { key: test, problem: 'has no value to compare; add json or header' };
  return written.status === undefined
    ? { key: '', problem: 'has no condition; write status, header or json' }
    : undefined;
}

const TESTS = ['equals', 'in', 'matches', 'exists', 'gte', 'lte'] as const;

export const CONDITION_KEYS: readonly string[] = ['status', 'header', 'json', ...TESTS];

/** The conditions as options of the polling engine. */
export function conditionsOf({ success = [], failure = [] }: Lists): Conditions {
  return { success: success.map(conditionOf), failure: failure.map(conditionOf) };
}

function conditionOf({ status, message, ...rest }: WrittenCondition): Condition {
  return { statuses: status && new Set(status), subject: subjectOf(rest), message };
}

function subjectOf({
  header,
  json,
  items,
  ...test
}: Omit<WrittenCondition, 'status' | 'message'>): Condition['subject'] {
  const asked: Test = test;
  if (header !== undefined) return { kind: 'header', name: header.toLowerCase(), test: asked };
  return json && { kind: 'json', pointer: json, test: asked, items: items ?? 'any' };
}
