import { JOB_ERROR_CODES, WAIT_REASONS } from '../job.ts';

/** JSON schemas (2020-12) of what the HTTP interface answers. */

const text = (description: string) => ({ type: 'string', description });
const count = (description: string) => ({ type: 'integer', minimum: 0, description });
const moment = (description: string) => ({ type: 'string', format: 'date-time', description });
const words = (values: readonly string[], description: string) => ({
  type: 'string',
  enum: [...values],
  description,
});

function object(properties: Record<string, object>, optional: readonly string[] = [], description = '') {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return {
    type: 'object',
    ...(description !== '' && { description }),
    properties,
    required,
    additionalProperties: false,
  };
}

const STATUS = words(
  ['queued', 'running', 'waiting', 'succeeded', 'failed', 'cancelled'],
  'Accepted and not begun, under way, begun and to be continued, or one of three ends.',
);

const LINKS = ['self', 'response', 'attempts', 'cancel', 'retry'];

const monitor = object(
  {
    id: { type: 'string', pattern: '^req_[0-9a-f]{32}$', description: 'Whoever knows it may ask for it.' },
    status: STATUS,
    done: { type: 'boolean', description: 'Whether it has ended.' },
    route: text('Upstream and route.'),
    labels: { type: 'array', items: { type: 'string' }, description: 'From Breakwater-Label.' },
    key: text('From Breakwater-Key: requests of one key run one at a time.'),
    request: object({
      method: text('As it is sent.'),
      path: text('Below the upstream, without the query.'),
      bytes: count('Of the body.'),
      sha256: text('Of the body, hex.'),
    }),
    created_at: moment('When it was accepted.'),
    started_at: moment('When the first attempt began.'),
    finished_at: moment('When it ended.'),
    deadline: moment('No attempt begins later.'),
    purge_at: moment('When it is forgotten.'),
    attempts: object(
      {
        made: count('So far; what was put off does not count.'),
        max: count('The most that are made; left out where the route is gone.'),
        last: object(
          {
            n: count('1 for the first.'),
            at: moment('When it began.'),
            ms: count('How long it took.'),
            status: count('What was answered; left out without an answer.'),
            error: text('What went wrong without an answer.'),
            retry_after_ms: count('The wait that the upstream asked for.'),
          },
          ['status', 'error', 'retry_after_ms'],
        ),
      },
      ['max', 'last'],
    ),
    polls: object(
      {
        count: count('Good answers, the final one included.'),
        seen: count('How many of the latest said the same.'),
        last: moment('When the latest came.'),
      },
      ['last'],
      'On a route with until or then, from its first good answer on.',
    ),
    next: object(
      { at: moment('When it is due.'), reason: words(WAIT_REASONS, 'Why it waits.') },
      ['reason'],
      'Left out while it runs and at its end.',
    ),
    plan: {
      type: 'array',
      items: moment('If all before it fail at once.'),
      description: 'When the attempts to come begin.',
    },
    response: object({
      status: count('What the upstream answered.'),
      bytes: count('Of the body, as it is kept.'),
      truncated: { type: 'boolean', description: 'More had come than is kept.' },
      href: text('Where it is.'),
    }),
    error: object({
      type: text('about:blank'),
      title: text('In a few words.'),
      code: words(JOB_ERROR_CODES, 'Why it ended without success.'),
    }),
    callback: object(
      {
        url: text('Where its end is told, without the query.'),
        status: STATUS,
        attempts: count('Deliveries so far.'),
        href: text('The callback, a request of its own.'),
      },
      ['status', 'attempts', 'href'],
      'Status, attempts and href are there once the request has ended.',
    ),
    kind: words(['callback', 'scheduled'], 'Left out where a client has made it.'),
    parent: text('The request whose end this callback tells, or the schedule that made it.'),
    erased: { type: 'boolean', description: 'Its bodies are gone.' },
    links: object(Object.fromEntries(LINKS.map((name) => [name, text('A path on this server.')]))),
  },
  [
    'key',
    'started_at',
    'finished_at',
    'purge_at',
    'polls',
    'next',
    'response',
    'error',
    'callback',
    'kind',
    'parent',
    'erased',
  ],
  'A durable request.',
);

const attempt = object(
  {
    n: count('1 for the first.'),
    at: moment('When it began.'),
    ms: count('How long it took.'),
    status: count('What was answered; left out without an answer.'),
    error: text('What went wrong without an answer.'),
    detail: text('What the system said of it.'),
    wait_ms: count('The wait that was chosen after it.'),
    reason: words([...WAIT_REASONS, ...JOB_ERROR_CODES], 'Why it was followed by a wait, or by the end.'),
    reclaimed: { type: 'boolean', description: 'Its process died, and nobody knows how it ended.' },
    reply: text('The beginning of a reply that was not the result.'),
  },
  ['status', 'error', 'detail', 'wait_ms', 'reason', 'reply'],
);

const route = object(
  {
    name: text('Upstream and route.'),
    paused: { type: 'boolean', description: 'What is due is kept back.' },
    requests: {
      type: 'object',
      additionalProperties: count('In this state.'),
      description: 'How many, by status.',
    },
    oldest_due_at: moment('Left out where nothing is due.'),
  },
  ['oldest_due_at'],
);

const run = object(
  {
    id: text('Of the durable request.'),
    status: STATUS,
    slot: moment('Left out of a run by hand.'),
    created_at: moment('When it was made.'),
    finished_at: moment('When it ended.'),
    href: text('The request.'),
  },
  ['slot', 'finished_at'],
);

const schedule = object(
  {
    name: text('In the configuration.'),
    cron: text('When.'),
    timezone: text('IANA.'),
    route: text('Upstream and route.'),
    method: text('Of its request.'),
    overlap: words(['skip', 'queue'], 'What becomes of a slot while the run before goes on.'),
    catchup: words(['latest', 'none'], 'What becomes of slots that came while no process was there.'),
    paused: { type: 'boolean', description: 'Its slots are left out.' },
    next: { type: 'array', items: moment('A slot.'), description: 'The slots to come.' },
    last: { ...run, description: 'Its latest run.' },
    last_success: { ...run, description: 'Its latest good run.' },
  },
  ['last', 'last_success'],
);

const problem = {
  type: 'object',
  description: 'RFC 9457.',
  properties: {
    type: text('about:blank'),
    title: text('The status in words.'),
    status: count('The HTTP status.'),
    detail: text('What is wrong.'),
    code: text('For programs.'),
  },
  required: ['type', 'title', 'status', 'detail'],
};

const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` });

const PAUSED = { type: 'boolean', description: 'From now on.' };

export const SCHEMAS = {
  Monitor: monitor,
  Attempts: object({
    request: text('Its id.'),
    attempts: { type: 'array', items: ref('Attempt'), description: 'In their order.' },
  }),
  Attempt: attempt,
  List: object(
    {
      requests: { type: 'array', items: ref('Monitor'), description: 'Newest first.' },
      cursor: text('For the next page; left out on the last.'),
    },
    ['cursor'],
  ),
  Changed: object({ matched: count('By the filter.'), changed: count('Of these.') }),
  Route: route,
  Routes: object({ routes: { type: 'array', items: ref('Route'), description: 'The durable ones.' } }),
  Paused: object({ route: text('Its name.'), paused: PAUSED }),
  Schedule: schedule,
  Schedules: object({ schedules: { type: 'array', items: ref('Schedule'), description: 'All of them.' } }),
  PausedSchedule: object({ schedule: text('Its name.'), paused: PAUSED }),
  Backup: object({ file: text('The copy, whole: a store like any other.') }),
  Problem: problem,
};
