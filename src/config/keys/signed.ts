import { section, shorthand } from '../fields/field.ts';
import { durationOrOff, isOff } from '../fields/fields.ts';
import { MS } from './timeouts.ts';

/** `signed: true`. SigV4 allows 15 minutes for most services; others that sign a Date allow 5. */
const WHEN_ON_MS = 240_000;

export const signed = shorthand(
  section(
    'Calls with a signature over headers and target (AWS SigV4, HMAC with Date). They are not changed, and not sent after the signature is too old.',
    {
      max_age: durationOrOff(
        'off',
        'No attempt is sent later than this after the call arrived. signed: true: 4m. off: calls are not signed.',
        MS,
      ),
    },
    'signed',
  ),
  {
    type: 'true, off or a map of keys',
    json: { enum: [true, 'on', false, 'off', 'none'] },
    expand: (found) => {
      if (isOff(found)) return { max_age: null };
      return found === true || found === 'on' ? { max_age: WHEN_ON_MS } : undefined;
    },
  },
);
