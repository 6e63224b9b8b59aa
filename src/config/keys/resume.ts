import { section, shorthand } from '../fields/field.ts';
import { integer, isOff } from '../fields/fields.ts';

/** `resume: true`. */
const WHEN_ON = 3;

export const resume = shorthand(
  section('Continues downloads that break in the middle.', {
    attempts: integer(
      0,
      'How often the rest of a broken body is requested (GET, 200, strong ETag; by If-Range). The client sees one whole body. 0 or resume: off: never. resume: true: 3 times.',
      0,
      100,
    ),
  }),
  {
    type: 'true, off or a map of keys',
    json: { enum: [true, 'on', false, 'off', 'none'] },
    expand: (found) => {
      if (isOff(found)) return { attempts: 0 };
      return found === true || found === 'on' ? { attempts: WHEN_ON } : undefined;
    },
  },
);
