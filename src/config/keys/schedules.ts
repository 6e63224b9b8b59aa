import * as z from 'zod';
import { section } from '../fields/field.ts';
import { choice, text } from '../fields/fields.ts';
import { checkHeaderValue, checkMethod, NAME_PATTERN, WHAT_A_NAME_IS } from '../fields/words.ts';

export const schedule = section(
  'A request that is made again and again, as a durable request of its route.',
  {
    cron: text(
      undefined,
      'When: minute hour day month weekday, such as "*/2 * * * *"; with six fields the first is the second.',
    ),
    timezone: text('UTC', 'Of the cron expression, such as Europe/Berlin.'),
    request: section('What is sent.', {
      method: text('GET', 'Its method.', checkMethod),
      path: text(
        undefined,
        'Path and query as an app would send them, /fx/latest; its route has to be durable.',
      ),
      headers: z
        .record(z.string(), text(undefined, 'A header of the request.', checkHeaderValue))
        .register(z.globalRegistry, {
          description: 'Its headers; credentials belong to headers.set of the upstream.',
        })
        .optional(),
      body: text(undefined, 'Its body; none when left out.'),
    }).optional(),
    overlap: choice(
      ['skip', 'queue'],
      'skip',
      'While the run before goes on: leave the slot out, or run it afterwards.',
    ),
    catchup: choice(
      ['latest', 'none'],
      'latest',
      'What was missed while nothing ran: the latest slot is run late, or none.',
    ),
  },
);

export const schedules = z
  .record(z.string().regex(NAME_PATTERN, WHAT_A_NAME_IS), schedule)
  .register(z.globalRegistry, {
    description: 'Requests that are made again and again, each under a name of its own.',
  })
  .optional();
