import * as z from 'zod';
import { parsePointer } from '../../http/json-pointer.ts';
import type { ErrorWait } from '../../policies/inspection/options.ts';
import { field, section } from '../fields/field.ts';
import { choice, flag, replyStatuses, text, texts } from '../fields/fields.ts';
import { type Parsed, parseDuration, quote } from '../fields/units.ts';
import { checkHeaderName } from '../fields/words.ts';

const means = choice(
  ['retry', 'permanent', 'not_processed', 'in_progress'],
  undefined,
  'retry: it passes. not_processed: nothing was done, so that even a POST without a key may be sent again. in_progress: a call under this idempotency key still runs. permanent: never retried.',
);

const WAIT_TYPE = 'a duration, a JSON pointer, a header or (pointer - pointer) / pointer';
const POINTS = /^\(\s*(\/\S+)\s*-\s*(\/\S+)\s*\)\s*\/\s+(\/\S+)$/;

const wait = field<ErrorWait>(
  {
    kind: 'other',
    doc: 'How long to wait where Retry-After does not say: a duration; a JSON pointer or a header whose value is seconds or has a unit (a header also a time); or (needed - available) / rate, each a JSON pointer.',
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

const fitting = texts('Values of which one must fit; * stands for anything, in large or small letters.');

const rule = section('A kind of error: how it is recognised, and what it means.', {
  name: text(undefined, 'What it is called in the log.'),
  source: text(undefined, 'Where this is known from.'),
  status: replyStatuses(
    'A status or a list of them; any from 400 on when left out. Below 400 a rule about the body needs inspect: all.',
  ),
  headers: z
    .record(
      z.string().refine((name) => checkHeaderName(name) === undefined, 'is not the name of a header'),
      fitting,
    )
    .register(z.globalRegistry, { description: 'By header.' })
    .optional(),
  body: z
    .record(
      z
        .string()
        .refine(
          (pointer) => pointer !== '' && parsePointer(pointer) !== undefined,
          'is no JSON pointer; write for example /error/code',
        ),
      fitting,
    )
    .register(z.globalRegistry, { description: 'By JSON pointer, in which * is any member.' })
    .optional(),
  text: texts('Texts of which one stands somewhere in the body.'),
  means,
  throttled: flag(undefined, 'It is a rate limit or quota that speaks, whatever the status.'),
  wait,
});

export const errors = section(
  'What error replies mean on this API, beyond their status.',
  {
    inspect: choice(
      ['errors', 'all', 'off'],
      'errors',
      'Whose bodies are looked into, up to 64 KiB and for at most 1s, where a rule asks for it; all: JSON of successes too.',
    ),
    rules: z
      .array(rule)
      .register(z.globalRegistry, { description: 'The first that fits counts.' })
      .optional(),
  },
  'errors',
);

export type ErrorsInput = z.output<typeof errors>;
export type RuleInput = z.output<typeof rule>;
