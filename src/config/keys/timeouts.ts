import { duration, durationOrOff } from '../fields/fields.ts';

/** A time of 0 is a mistake: nothing could happen in it. */
export const MS = { min: 1 };

export const routeTimeouts = {
  attempt: durationOrOff(
    'off',
    'Time from the start of an attempt to its response head. off: an attempt may take all the time of its call.',
    MS,
  ),
  idle: duration('60s', 'Longest pause in a body. The whole body may take any time.', MS),
  total: duration(
    '10m',
    'Time from the arrival of a call to its response head, including all attempts and waits.',
    MS,
  ),
};
