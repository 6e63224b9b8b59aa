import * as z from 'zod';
import { section, shorthand } from '../fields/field.ts';
import { durationOrOff, flag, integer, isOff, size, text, texts } from '../fields/fields.ts';
import { means, valuesByPointer, wait } from './errors.ts';
import { MS } from './timeouts.ts';

/** All that are written must hold. */
const conditions = {
  event: texts(
    "The event's name must be one of these; * is any text. An event without a name, and a line of NDJSON, is named message.",
  ),
  data: texts("The event's whole data must be one of these; * is any text."),
  body: valuesByPointer,
  text: texts("One of these texts must be in the event's data."),
};

/** The status of an error event whose rule names none: 502, because the upstream gave no usable answer. */
export const ERROR_EVENT_STATUS = 502;

const error = section('Which events are errors, and what they mean.', {
  name: text(undefined, 'Name in the log.'),
  source: text(undefined, 'Documentation of this error.'),
  ...conditions,
  status: integer(
    ERROR_EVENT_STATUS,
    'The status that the reply counts as. The client still gets the real one.',
    400,
    599,
  ),
  means,
  throttled: flag(undefined, 'true: the error is a rate limit or quota, whatever its status.'),
  wait,
});

const ignored = shorthand(
  section('Which events are not meaningful.', {
    source: text(undefined, 'Documentation of this event.'),
    ...conditions,
  }),
  {
    type: 'the name of an event, or a map of conditions',
    json: { type: 'string' },
    expand: (found) => (typeof found === 'string' && found !== '' ? { event: [found] } : undefined),
  },
);

const done = section('Which events end a stream.', {
  source: text(undefined, 'Documentation of this event.'),
  ...conditions,
});

const list = <S extends z.ZodType>(item: S, description: string) =>
  z.array(item).register(z.globalRegistry, { description }).optional();

export const stream = shorthand(
  section(
    'Event streams (SSE, NDJSON, AWS event streams): an attempt succeeds with its first meaningful event, not with its head.',
    {
      first_event: durationOrOff(
        'off',
        'Time from the response head to the first meaningful event. An attempt without one has failed.',
        MS,
      ),
      event_gap: durationOrOff(
        'off',
        'Longest gap between two meaningful events after the first. Then the stream is broken off. timeouts.idle still counts any byte.',
        MS,
      ),
      ignore: list(
        ignored,
        'Events that are not meaningful, by name or by conditions. Comments and events without data never are.',
      ),
      error: list(
        error,
        'The first rule that matches decides. If the first event of a stream is an error, the attempt has failed.',
      ),
      done: list(done, 'How a complete stream ends. A stream that ends otherwise is counted as incomplete.'),
      hold: size(
        '64KiB',
        'Most bytes of a reply that are held back until its first meaningful event. A reply beyond it is passed on.',
        2 ** 24,
      ),
    },
    'stream',
  ),
  {
    type: 'off or a map of keys',
    json: { enum: ['off', 'none'] },
    expand: (found) =>
      isOff(found) ? { first_event: null, event_gap: null, ignore: [], error: [], done: [] } : undefined,
  },
);

export type StreamInput = z.output<typeof stream>;
