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
        ? { problem: `${quote(found)} is no JSON pointer; write for example /status` }
        : { value };
    },
  );
}

const isScalar = (found: unknown): found is Scalar =>
  found === null || ['string', 'number', 'boolean'].includes(typeof found);

const equals = field<Scalar>(
  {
    kind: 'other',
    doc: 'The value that it must have; 7 fits "7" too.',
    builtIn: undefined,
    type: 'a text, a number, true or false',
    json: { type: ['string', 'number', 'boolean'] },
  },
  (found) =>
    isScalar(found)
      ? { value: found }
      : { problem: `${quote(found)} is no single value; write in for a list` },
);

const oneOf = field<readonly Scalar[]>(
  {
    kind: 'other',
    doc: 'The values of which it must have one.',
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
    doc: 'A regular expression found in it, as ^paid, in the syntax of RE2: without look-around and back references, so that no text takes long to look through.',
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

const condition = section('What a reply must be like; all that is written here must hold.', {
  status: replyStatuses(
    'A status or a list of them. An error, such as 404, is looked at only where its status is named.',
  ),
  header: text(undefined, 'A header to look at.', checkHeaderName),
  json: pointer('A value in the JSON of the reply to look at; * stands for every item of a list.'),
  equals,
  in: oneOf,
  matches,
  exists: flag(undefined, 'Whether it must be there at all.'),
  gte: bound('It must be a number not below this.'),
  lte: bound('It must be a number not above this.'),
  items: choice(
    ['any', 'all'],
    undefined,
    'With * in the pointer: whether one item is enough; any when left out.',
  ),
  message: pointer('Where the reply says why, for the error that is shown.'),
});

const alternatives = (description: string) =>
  z.array(condition).register(z.globalRegistry, { description }).optional();

/** Conditions under which a good reply is the final one. */
export const until = section(
  'A good reply need not be the final one: ask again until one of these holds.',
  {
    success: alternatives('The reply is the result. One of the list is enough; failure is looked at first.'),
    failure: alternatives('The request has failed, with the code condition_failed.'),
    delay: section('Waits between polls; a Retry-After takes their place, up to max.', {
      min: duration('2s', 'The shortest.', { min: 100 }),
      max: duration('2m', 'The longest; the waits double on the way, at random between min and there.', {
        min: 100,
      }),
    }).optional(),
    deadline: duration(
      '24h',
      'In place of durable.deadline where it is written: the time from acceptance to the end of it all. The last poll is made exactly then.',
      { min: 1_000, max: 366 * 86_400_000 },
    ),
  },
  'until',
);

const TARGET_TYPE = 'header:location or a path such as /payments/{json:/id}/status';

const target = field<PollTarget>(
  {
    kind: 'other',
    doc: 'What is polled with GET: header:location, header:operation-location, or a path below the URL of the upstream, with values of the JSON of the reply. Always on the same upstream.',
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

/** Text and pointers by turns. */
function partsOf(path: string): (string | Pointer)[] | undefined {
  const pieces = path.split(/\{json:(\/[^{}]*)\}/);
  const parts = pieces.map((piece, index) => (index % 2 === 0 ? plain(piece) : one(parsePointer(piece))));
  return parts.every((part) => part !== undefined) ? parts.filter((part) => part !== '') : undefined;
}

const plain = (piece: string): string | undefined => (/[{}]/.test(piece) ? undefined : piece);
const one = (found: Pointer | undefined): Pointer | undefined =>
  found?.includes('*') === true ? undefined : found;

/** Submit once, then poll something else. */
export const poll = section(
  'The reply is only a receipt: what it points to is polled until it is final, and the request never sent again.',
  { target, until: until.optional() },
  'poll',
);

type WrittenCondition = z.output<typeof condition>;
type Lists = { readonly [K in 'success' | 'failure']?: readonly WrittenCondition[] | undefined };

/** What is wrong with a condition as a whole, by the key to blame; '' for none of them. */
export function conditionProblem(written: WrittenCondition): { key: string; problem: string } | undefined {
  const subjects = (['header', 'json'] as const).filter((key) => written[key] !== undefined);
  const test = TESTS.find((key) => written[key] !== undefined);
  const [subject, other] = subjects;
  if (other !== undefined)
    return { key: other, problem: 'stands beside header; write two entries, or keep one of the two' };
  if (subject !== undefined && test === undefined)
    return {
      key: subject,
      problem: 'is compared with nothing; write equals, in, matches, exists, gte or lte beside it',
    };
  if (subject !== undefined) return undefined;
  if (test !== undefined)
    return { key: test, problem: 'has nothing to look at; write json or header beside it' };
  return written.status === undefined
    ? { key: '', problem: 'holds for nothing; write status, header or json' }
    : undefined;
}

const TESTS = ['equals', 'in', 'matches', 'exists', 'gte', 'lte'] as const;

export const CONDITION_KEYS: readonly string[] = ['status', 'header', 'json', ...TESTS];

/** As the engine takes them. */
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
