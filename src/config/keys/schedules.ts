import * as z from 'zod';
import { section } from '../fields/field.ts';
import { choice, text } from '../fields/fields.ts';
import { checkHeaderValue, checkMethod, NAME_PATTERN, NAME_PROBLEM } from '../fields/words.ts';

export const schedule = section('A request that is sent on a schedule, as a durable request of its route.', {
  cron: text(
    undefined,
    'When: minute hour day month weekday, such as "*/2 * * * *". With six fields, the first is the second.',
  ),
  timezone: text('UTC', 'Time zone of cron, such as Europe/Berlin.'),
  request: section('The request to send.', {
    method: text('GET', 'Method.', checkMethod),
    path: text(
      undefined,
      'Path and query as an app would send them, such as /fx/latest. The route must be durable.',
    ),
    headers: z
      .record(z.string(), text(undefined, 'A header of the request.', checkHeaderValue))
      .register(z.globalRegistry, {
        description: 'Headers. Write credentials into headers.set of the upstream instead.',
      })
      .optional(),
    body: text(undefined, 'Body. Default: no body.'),
  }).optional(),
  overlap: choice(
    ['skip', 'queue'],
    'skip',
    'What to do at a time when the previous run has not ended. skip: no run. queue: run after it.',
  ),
  catchup: choice(
    ['latest', 'none'],
    'latest',
    'What to do about runs missed while the proxy was down. latest: run the latest one late. none: run none.',
  ),
});

export const schedules = z
  .record(z.string().regex(NAME_PATTERN, NAME_PROBLEM), schedule)
  .register(z.globalRegistry, {
    description: 'Requests that are sent on a schedule, by name.',
  })
  .optional();
