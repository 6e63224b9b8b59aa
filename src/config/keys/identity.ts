import { section } from '../fields/field.ts';
import { texts } from '../fields/fields.ts';

/** `checkHeaderName` would be too strict: the name may be that of a query parameter. */
const checkFieldName = (name: string): string | undefined =>
  /^[^\s=&?#]+$/.test(name)
    ? undefined
    : 'is not a name of a header or query parameter; write the name, not a value';

export const identity = section(
  'Which headers and query parameters identify the caller. Common names (authorization, x-api-key, key, stripe-account) are known; add others here.',
  {
    secret_names: texts(
      'Names of headers and query parameters that hold a secret. They identify the caller, and are never stored in plain text, shown, or sent to another upstream.',
      checkFieldName,
      [],
    ),
    account_names: texts('Names of headers that identify the caller but are not secret.', checkFieldName, []),
    ignored_names: texts(
      'Names of headers and query parameters that look like a secret or an account but are neither.',
      checkFieldName,
      [],
    ),
  },
  'identity',
);
