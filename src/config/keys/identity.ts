import { section } from '../fields/field.ts';
import { texts } from '../fields/fields.ts';

/** Header and parameter names: what `checkHeaderName` refuses in addition cannot be told from here. */
const checkFieldName = (name: string): string | undefined =>
  /^[^\s=&?#]+$/.test(name) ? undefined : 'is no name of a header or of a query parameter';

export const identity = section(
  'Who calls. Most names tell it by themselves (authorization, x-api-key, key, stripe-account); these are for all others.',
  {
    secret_names: texts(
      'Headers and query parameters that hold a secret: never stored in plain text, shown, or sent to another upstream; they tell callers apart.',
      checkFieldName,
      [],
    ),
    account_names: texts(
      'Headers that say for whom a call is, and are no secret: they tell callers apart.',
      checkFieldName,
      [],
    ),
    ignored_names: texts(
      'Headers and query parameters that are neither, although their name looks like it.',
      checkFieldName,
      [],
    ),
  },
  'identity',
);
