import { PRIORITIES } from '../../proxy/client.ts';
import { JOB_ERROR_CODES, WAIT_REASONS } from '../job.ts';

/** JSON schemas (2020-12) of the replies of the HTTP API. */

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
  'queued: no attempt yet. running: an attempt is in progress. waiting: a further attempt follows. The others are final.',
);

const LINKS = ['self', 'response', 'attempts', 'cancel', 'retry'];

/** Fields of one attempt, in the monitor and in the list of attempts. */
const ATTEMPT = {
  n: count('1 for the first.'),
  at: moment('When it began.'),
  ms: count('Its duration in milliseconds.'),
  status: count('HTTP status of the reply; absent without a reply.'),
  error: text('Error code; only without a reply.'),
};

const monitor = object(
  {
    id: {
      type: 'string',
      pattern: '^req_[0-9a-f]{32}$',
      description: 'Gives access to the request, unless it was submitted with credentials.',
    },
    request_id: text(
      'Id of the call that submitted it (breakwater-request-id). Absent for a run of a schedule.',
    ),
    status: STATUS,
    done: { type: 'boolean', description: 'Whether the status is final.' },
    route: text('Name of the route, as upstream/route.'),
    client: text('Name of the client that submitted it, if clients need a token.'),
    priority: words(PRIORITIES, 'Its priority in queues: low, unless Breakwater-Priority asked for another.'),
    tenant: text('The tenant whose host it is sent to. Absent if the upstream has no tenants.'),
    labels: { type: 'array', items: { type: 'string' }, description: 'From Breakwater-Label.' },
    key: text('From Breakwater-Key: requests with the same key run one at a time.'),
    request: object({
      method: text('HTTP method.'),
      path: text('Path sent to the upstream, without the query.'),
      bytes: count('Size of the body.'),
      sha256: text('SHA-256 of the body, hex.'),
    }),
    created_at: moment('When it was accepted.'),
    started_at: moment('When the first attempt began.'),
    finished_at: moment('When it reached a final status.'),
    deadline: moment('No attempt begins after this.'),
    purge_at: moment('When it is deleted.'),
    attempts: object(
      {
        made: count('Attempts made so far. Deferrals, where nothing was sent, do not count.'),
        max: count('Maximum number of attempts; absent if the route was removed.'),
        last: object(
          {
            ...ATTEMPT,
            retry_after_ms: count('The wait that the upstream asked for, in milliseconds.'),
          },
          ['status', 'error', 'retry_after_ms'],
        ),
      },
      ['max', 'last'],
    ),
    polls: object(
      {
        count: count('Successful replies so far, the final one included.'),
        seen: count('Latest successive replies with the same state.'),
        last: moment('When the latest arrived.'),
        target: text('The target of the upstream that has accepted the request, if it has targets.'),
      },
      ['last', 'target'],
      'On a route that polls (durable.until, durable.poll), after its first successful reply.',
    ),
    next: object(
      { at: moment('When it is due.'), reason: words(WAIT_REASONS, 'Why the request waits.') },
      ['reason'],
      'Absent while running and once finished.',
    ),
    plan: {
      type: 'array',
      items: moment('Assumes that the attempts before it fail at once.'),
      description: 'Expected start of the next attempts.',
    },
    response: object({
      status: count('HTTP status of the upstream.'),
      bytes: count('Size of the stored body.'),
      truncated: { type: 'boolean', description: 'Whether the stored body is incomplete.' },
      href: text('Path of the stored response.'),
    }),
    error: object({
      type: text('about:blank'),
      title: text('Short description.'),
      code: words(JOB_ERROR_CODES, 'Why it ended without success.'),
    }),
    callback: object(
      {
        url: text('URL that the callback goes to, without the query.'),
        status: STATUS,
        attempts: count('Delivery attempts so far.'),
        href: text('Path of the callback, which is a request of its own.'),
      },
      ['status', 'attempts', 'href'],
      'status, attempts and href are present once the request has finished.',
    ),
    kind: words(['callback', 'scheduled'], 'Absent if a client submitted it.'),
    parent: text('The request that this callback reports, or the schedule that created this run.'),
    erased: { type: 'boolean', description: 'Its bodies were erased.' },
    links: object(Object.fromEntries(LINKS.map((name) => [name, text('A path on this server.')]))),
  },
  [
    'request_id',
    'client',
    'tenant',
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
    ...ATTEMPT,
    detail: text('Details of the error.'),
    wait_ms: count('The wait after it, in milliseconds.'),
    reason: words([...WAIT_REASONS, ...JOB_ERROR_CODES], 'Why the request waited or ended after it.'),
    reclaimed: {
      type: 'boolean',
      description: 'Its process died or lost its lease, so its outcome is unknown.',
    },
    reply: text('First 2 KiB of a reply that is not the result.'),
  },
  ['status', 'error', 'detail', 'wait_ms', 'reason', 'reply'],
);

const route = object(
  {
    name: text('Name of the route, as upstream/route.'),
    paused: { type: 'boolean', description: 'Whether due requests are held back.' },
    requests: {
      type: 'object',
      additionalProperties: count('Requests with this status.'),
      description: 'Number of requests by status.',
    },
    oldest_due_at: moment('Absent if no request waits.'),
  },
  ['oldest_due_at'],
);

const run = object(
  {
    id: text('Id of the durable request.'),
    status: STATUS,
    slot: moment('Absent for a manual run.'),
    created_at: moment('When it was created.'),
    finished_at: moment('When it finished.'),
    href: text('Path of the request.'),
  },
  ['slot', 'finished_at'],
);

const schedule = object(
  {
    name: text('Name in the configuration.'),
    cron: text('Cron expression.'),
    timezone: text('IANA time zone.'),
    route: text('Name of the route, as upstream/route.'),
    method: text('Method of its requests.'),
    overlap: words(['skip', 'queue'], 'What happens to a slot while the previous run is in progress.'),
    catchup: words(['latest', 'none'], 'What happens to slots missed while no process was running.'),
    paused: { type: 'boolean', description: 'Whether its slots are skipped.' },
    next: { type: 'array', items: moment('Time of a slot.'), description: 'The next slots.' },
    last: { ...run, description: 'Its latest run.' },
    last_success: { ...run, description: 'Its latest successful run.' },
  },
  ['last', 'last_success'],
);

const problem = {
  type: 'object',
  description: 'RFC 9457.',
  properties: {
    type: text('about:blank'),
    title: text('Reason phrase of the status.'),
    status: count('The HTTP status.'),
    detail: text('Explanation for people.'),
    code: text('Error code for programs.'),
  },
  required: ['type', 'title', 'status', 'detail'],
};

const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` });

const PAUSED = { type: 'boolean', description: 'Whether it is paused now.' };

export const SCHEMAS = {
  Monitor: monitor,
  Attempts: object({
    request: text('Id of the request.'),
    attempts: { type: 'array', items: ref('Attempt'), description: 'Oldest first.' },
  }),
  Attempt: attempt,
  List: object(
    {
      requests: { type: 'array', items: ref('Monitor'), description: 'Newest first.' },
      cursor: text('Pass it to get the next page; absent on the last page.'),
    },
    ['cursor'],
  ),
  Changed: object({
    matched: count('Requests that match the filter.'),
    changed: count('Requests that were changed.'),
  }),
  Route: route,
  Routes: object({ routes: { type: 'array', items: ref('Route'), description: 'The durable routes.' } }),
  Paused: object({ route: text('Name of the route.'), paused: PAUSED }),
  Schedule: schedule,
  Schedules: object({ schedules: { type: 'array', items: ref('Schedule'), description: 'All of them.' } }),
  PausedSchedule: object({ schedule: text('Name of the schedule.'), paused: PAUSED }),
  Backup: object({ file: text('Path of the copy, which is a complete store.') }),
  Problem: problem,
};
