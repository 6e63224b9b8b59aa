import * as z from 'zod';
import { field, section } from '../fields/field.ts';
import { flag, integer, isOff, text } from '../fields/fields.ts';
import { checkHeaderName, NAME_PATTERN, NAME_PROBLEM } from '../fields/words.ts';
import { auth } from './auth.ts';
import { headers } from './headers.ts';
import { quota } from './quota.ts';

/** A value of a JSON body. */
const jsonValue = field<unknown>(
  {
    kind: 'other',
    doc: 'The value at this JSON pointer, such as /model.',
    builtIn: undefined,
    type: 'a JSON value',
    json: {},
  },
  (found) => ({ value: found }),
);

const body = section('Changes to JSON request bodies.', {
  set: z
    .record(z.string(), jsonValue)
    .register(z.globalRegistry, {
      description: 'Values that replace those of the client, by JSON pointer, such as /model.',
    })
    .optional(),
});

const target = section(
  'A key or a host of the API. A key that is not written is inherited from the upstream.',
  {
    name: text(undefined, 'Name in logs and metrics. Required.', (name) =>
      NAME_PATTERN.test(name) ? undefined : NAME_PROBLEM,
    ),
    url: text(undefined, 'URL of the API there. Default: the url of the upstream.'),
    weight: integer(1, 'Its share of the calls, compared with the other targets of its tier.', 1, 1_000),
    tier: integer(
      1,
      'Targets of a higher tier get calls only while none of a lower tier can take one.',
      1,
      100,
    ),
    allow_private: flag(undefined, 'true: the target may have a loopback or private address.'),
    preset: text(undefined, 'Preset for this target, in place of the one of the upstream.'),
    headers: headers.optional(),
    auth: auth.optional(),
    body: body.optional(),
    quota: quota.optional(),
  },
  'target',
);

export const targets = z.array(target).register(z.globalRegistry, {
  description: 'Several keys or hosts of one API. Each attempt goes to one that can take it. At most 100.',
});

const checkSticky = (written: string): string | undefined => {
  if (isOff(written)) return undefined;
  const [, name] = /^header:(.+)$/.exec(written) ?? [];
  return name === undefined
    ? 'is not understood; write off, or for example header:x-session'
    : checkHeaderName(name);
};

export const sticky = text(
  'off',
  'header:x-session: calls with the same value of this header go to the same target, and to no other. off: each call goes where there is room.',
  checkSticky,
);

export type TargetInput = z.output<typeof target>;
