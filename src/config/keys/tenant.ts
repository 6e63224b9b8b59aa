import * as z from 'zod';
import { parseExpression } from '../../http/expression.ts';
import { field, section } from '../fields/field.ts';
import { flag, integer, text } from '../fields/fields.ts';
import { quote } from '../fields/units.ts';
import { checkHeaderName } from '../fields/words.ts';

/** Kept as text: a configuration crosses threads, and a compiled expression does not. */
const matches = field<string>(
  {
    kind: 'other',
    doc: 'Only these tenants are served: a regular expression for the lower-case value, such as ^[a-z0-9-]{1,60}$. RE2 syntax. Other calls get 400.',
    builtIn: undefined,
    type: 'a regular expression',
    json: { type: 'string' },
  },
  (found) => {
    if (typeof found !== 'string') return { problem: `${quote(found)} is not text` };
    const parsed = parseExpression(found);
    return 'problem' in parsed ? parsed : { value: found };
  },
);

export const tenant = section(
  'Which tenant a call is for. The value fills the placeholder of url, so each tenant has its own host, and policy state of its own.',
  {
    header: text(
      undefined,
      'Header that names the tenant. It is not passed on. Default: the placeholder in mount.',
      checkHeaderName,
    ),
    matches,
    dots: flag(false, 'true: the value may be several labels of a host name, such as acme.eu.'),
    max: integer(
      1_000,
      'Tenants with policy state and connections. The least recently used one without calls leaves for a new one.',
      1,
      100_000,
    ),
  },
);

export const vars = z
  .record(z.string(), text(undefined, 'The text of a placeholder.'))
  .register(z.globalRegistry, {
    description: 'Fixed values for placeholders of url, such as { region: eu-central-1 }.',
  })
  .optional();
