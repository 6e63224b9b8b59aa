import { section, shorthand } from '../fields/field.ts';
import { choice, parseTexts, texts } from '../fields/fields.ts';
import { checkAllowed } from '../fields/words.ts';

/** The allow-list of an upstream. A text or a list stands for its calls. */
export const allow = shorthand(
  section('The only calls that may be sent. Other calls get 403.', {
    mode: choice(
      ['enforce', 'shadow'],
      undefined,
      'enforce, the default: other calls get 403. shadow: they are sent, and reported.',
    ),
    calls: texts(
      'Such as "GET /v1/**" or "GET,POST /v1/charges". ANY is any method; paths are as in match.path. Required.',
      checkAllowed,
    ),
  }),
  {
    type: 'a text such as "GET /v1/**", a list of them or a map of keys',
    json: { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }] },
    expand: (found) => {
      if (typeof found === 'object' && !Array.isArray(found)) return undefined;
      const parsed = parseTexts(found, checkAllowed);
      return 'value' in parsed ? { calls: parsed.value } : parsed;
    },
  },
);
