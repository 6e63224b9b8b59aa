import * as z from 'zod';
import type { ErrorWait } from '../../http/error-wait.ts';
import { parsePointer } from '../../http/json-pointer.ts';
import { field, section } from '../fields/field.ts';
import { choice, flag, replyStatuses, text, texts } from '../fields/fields.ts';
import { type Parsed, parseDuration, quote } from '../fields/units.ts';
import { checkHeaderName } from '../fields/words.ts';

/** The meaning of an error for retries. */
export const means = choice(
  ['retry', 'permanent', 'not_processed', 'in_progress', 'credential_refused'],
  undefined,
  'retry: a temporary error. not_processed: the API did nothing, so even a POST without a key may be sent again. in_progress: a call with this idempotency key still runs. permanent: never retried. credential_refused: the API did nothing, because the key is not valid or has no credit; another target may take the call.',
);

const WAIT_TYPE = 'a duration, a JSON pointer, a header or (pointer - pointer) / pointer';
const POINTS = /^\(\s*(\/\S+)\s*-\s*(\/\S+)\s*\)\s*\/\s+(\/\S+)$/;

/** The wait that an error asks for. */
export const wait = field<ErrorWait>(
  {
    kind: 'other',
    doc: 'How long to wait if there is no Retry-After: a duration; a JSON pointer or header whose value is seconds or has a unit (for a header, also a date); or (needed - available) / rate, each a JSON pointer.',
    builtIn: undefined,
    type: WAIT_TYPE,
    json: { type: 'string' },
  },
  (found) => parseWait(found),
);

function parseWait(found: unknown): Parsed<ErrorWait> {
  const problem = { problem: `${quote(found)} is not ${WAIT_TYPE}` };
  if (typeof found !== 'string' || found === '') return problem;
  if (/^[/(]/.test(found)) {
    const value = pointerWait(found);
    return value === undefined ? problem : { value };
  }
  if (!/^\d/.test(found))
    return checkHeaderName(found) === undefined
      ? { value: { from: 'header', name: found.toLowerCase() } }
      : problem;
  const parsed = parseDuration(found);
  return 'problem' in parsed ? parsed : { value: { from: 'rule', ms: parsed.value } };
}

function pointerWait(found: string): ErrorWait | undefined {
  const [needed, available, perSecond] = (POINTS.exec(found)?.slice(1) ?? [found]).map(parsePointer);
  if (needed === undefined) return undefined;
  if (available === undefined || perSecond === undefined)
    return found.startsWith('(') ? undefined : { from: 'body', pointer: needed };
  return { from: 'points', needed, available, perSecond };
}

const fitting = texts(
  'One of these values must match. * is any text, and alone any value but null; upper and lower case are equal.',
);

/** Conditions on JSON. */
export const valuesByPointer = z
  .record(
    z
      .string()
      .refine(
        (pointer) => pointer !== '' && parsePointer(pointer) !== undefined,
        'is not a JSON pointer; write for example /error/code',
      ),
    fitting,
  )
  .register(z.globalRegistry, {
    description: 'Values by JSON pointer, in which * is any member of a list or map.',
  })
  .optional();

const rule = section('An error rule: which replies it matches, and what they mean.', {
  name: text(undefined, 'Name in the log.'),
  source: text(undefined, 'Documentation of this error.'),
  status: replyStatuses(
    'A status or a list of them. Default: every status from 400. A rule for a body below 400 needs inspect: all.',
  ),
  headers: z
    .record(
      z.string().refine((name) => checkHeaderName(name) === undefined, 'is not a header name'),
      fitting,
    )
    .register(z.globalRegistry, { description: 'Values by response header.' })
    .optional(),
  body: valuesByPointer,
  text: texts('One of these texts must be in the body.'),
  means,
  throttled: flag(undefined, 'true: the error is a rate limit or quota, whatever its status.'),
  wait,
});

export const errors = section(
  'Error rules: what error replies of this API mean, beyond their status.',
  {
    inspect: choice(
      ['errors', 'all', 'off'],
      'errors',
      'Which bodies are read for the rules, up to 64 KiB and for at most 1s. errors: only of errors. all: also JSON of successes.',
    ),
    rules: z
      .array(rule)
      .register(z.globalRegistry, { description: 'The first rule that matches decides.' })
      .optional(),
  },
  'errors',
);

export type ErrorsInput = z.output<typeof errors>;
export type RuleInput = z.output<typeof rule>;
