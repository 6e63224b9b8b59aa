import { duration, durationOrOff } from '../fields/fields.ts';

/** A time in which nothing can happen is a mistake. */
export const MS = { min: 1 };

export const routeTimeouts = {
  attempt: durationOrOff(
    'off',
    'Time from the start of an attempt to the head of its reply, kept on every attempt; off: an attempt may use all the time of its call.',
    MS,
  ),
  idle: duration('60s', 'Longest gap in a body that streams; there is no limit on its whole length.', MS),
  total: duration(
    '10m',
    'Time from the arrival of a call to the head of its reply, all attempts and waits included.',
    MS,
  ),
};
