import { section, shorthand } from '../fields/field.ts';
import { duration, flag, integerOrOff, isOff, percentage } from '../fields/fields.ts';

export const faults = shorthand(
  section(
    'Faults that the proxy injects in place of the upstream, to try how an app copes. Ignored with a warning unless FAULTS=on is in the environment of the proxy.',
    {
      percent: percentage('100%', 'Share of the attempts that get the fault.'),
      delay: duration('0s', 'Wait before the attempt is sent, or before the fault.'),
      status: integerOrOff('off', 'Status of an empty reply in place of that of the upstream.', 200, 599),
      reset: flag(false, 'true: the connection breaks after the request was sent.'),
      stall: flag(false, 'true: no answer comes until the attempt ends.'),
      header: flag(
        false,
        'true: a client may ask for a fault by breakwater-fault: 503, reset, stall or delay=2s, or delay=2s with one of the others. All attempts of its call get it.',
      ),
    },
    'faults',
  ),
  {
    type: 'off or a map of keys',
    json: { enum: ['off', 'none'] },
    expand: (found) =>
      isOff(found) ? { delay: 0, status: null, reset: false, stall: false, header: false } : undefined,
  },
);
