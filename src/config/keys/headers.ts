import * as z from 'zod';
import { section } from '../fields/field.ts';
import { text, texts } from '../fields/fields.ts';
import { checkHeaderName, checkHeaderValue } from '../fields/words.ts';

export const headers = section(
  'Changes to the request headers.',
  {
    set: z
      .record(z.string(), text(undefined, 'A header that replaces the one of the client.', checkHeaderValue))
      .register(z.globalRegistry, { description: 'Headers that replace those of the client.' })
      .optional(),
    remove: texts('Headers that are not passed on.', checkHeaderName),
  },
  'headers',
);

export type HeadersInput = z.output<typeof headers>;
