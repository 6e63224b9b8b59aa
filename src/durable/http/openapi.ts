import {
  ADMIN,
  ANYTHING,
  answer,
  CALLER,
  ETAG,
  type Json,
  MONITOR,
  operation,
  PENDING,
  problems,
  query,
  RETRY_AFTER,
  ref,
} from './openapi-parts.ts';
import { SCHEMAS } from './schemas.ts';

const ID = ref('parameters', 'id');
const PREFER = ref('parameters', 'prefer');
const NAME = ref('parameters', 'name');
const SCHEDULE = ref('parameters', 'schedule');

const FILTER: readonly Json[] = [
  query('status', 'One or more statuses, separated by commas.', { type: 'string' }),
  query('route', 'Name of a route, as upstream/route.', { type: 'string' }),
  query('label', 'Requests with this label.', { type: 'string' }),
  query('key', 'Requests with this Breakwater-Key.', { type: 'string' }),
  query('since', 'Accepted at or after.', { type: 'string', format: 'date-time' }),
  query('until', 'Accepted before.', { type: 'string', format: 'date-time' }),
  query('min_attempts', 'Minimum number of attempts made.', { type: 'integer', minimum: 0 }),
  query('kind', 'What created the request.', { type: 'string', enum: ['request', 'callback', 'scheduled'] }),
  query('parent', 'Callbacks of this request id, or runs of this schedule.', { type: 'string' }),
  query('request_id', 'Requests that were submitted by the call with this id, and their callbacks.', {
    type: 'string',
  }),
  query('sort', 'newest: newest first. next: only unfinished requests, soonest first.', {
    type: 'string',
    enum: ['newest', 'next'],
  }),
  query('cursor', 'The cursor of the previous page.', { type: 'string' }),
];
const limit = (required: boolean): Json =>
  query('limit', 'Maximum number of requests.', { type: 'integer', minimum: 1 }, required);

const REQUESTS = {
  '/requests/{id}': {
    get: operation('getRequest', 'Get the status of a request', {
      ...CALLER,
      parameters: [ID, PREFER, ref('parameters', 'ifNoneMatch')],
      responses: {
        200: answer('The request.', 'Monitor', { ETag: ETAG, 'Retry-After': RETRY_AFTER }),
        304: { description: 'Unchanged since If-None-Match.' },
        ...problems(404, 410, 503),
      },
    }),
    delete: operation('deleteRequest', 'Cancel a request and erase its bodies', {
      ...CALLER,
      parameters: [ID],
      responses: { 204: { description: 'Erased.' }, ...problems(404, 409, 410, 503) },
    }),
  },
  '/requests/{id}/response': {
    get: operation('getResponse', 'Get the stored response of the upstream', {
      ...CALLER,
      parameters: [ID, PREFER],
      responses: {
        200: { description: 'The response of the upstream, byte for byte.', content: ANYTHING },
        202: PENDING,
        ...problems(404, 409, 410, 502, 503, 504),
        default: { description: 'Any other status of the upstream.', content: ANYTHING },
      },
    }),
  },
  '/requests/{id}/attempts': {
    get: operation('getAttempts', 'List the attempts, and what followed each', {
      ...CALLER,
      parameters: [ID],
      responses: { 200: answer('The attempts.', 'Attempts'), ...problems(404, 410, 503) },
    }),
  },
  '/requests/{id}/cancel': {
    post: operation('cancelRequest', 'Cancel a request; a running attempt is aborted', {
      ...CALLER,
      parameters: [ID],
      responses: { 200: MONITOR, ...problems(404, 409, 410, 503) },
    }),
  },
  '/requests/{id}/retry': {
    post: operation('retryRequest', 'Send a waiting request now, or restart a finished one', {
      ...CALLER,
      parameters: [ID, query('force', 'Restart a request that succeeded, too.', { type: 'boolean' })],
      responses: { 202: PENDING, ...problems(404, 409, 410, 503) },
    }),
  },
};

const FLEET = {
  '/requests': {
    get: operation('listRequests', 'List requests', {
      ...ADMIN,
      parameters: [...FILTER, limit(false)],
      responses: { 200: answer('A page of requests.', 'List'), ...problems(400, 401, 503) },
    }),
  },
  '/requests/retry': {
    post: operation('retryRequests', 'Retry all requests that match', {
      ...ADMIN,
      parameters: [...FILTER, limit(true)],
      responses: { 200: answer('Counts.', 'Changed'), ...problems(400, 401, 503) },
    }),
  },
  '/requests/cancel': {
    post: operation('cancelRequests', 'Cancel all requests that match', {
      ...ADMIN,
      parameters: [...FILTER, limit(true)],
      responses: { 200: answer('Counts.', 'Changed'), ...problems(400, 401, 503) },
    }),
  },
  '/backup': {
    post: operation('backUp', 'Copy the embedded store to a file next to it, without stopping it', {
      ...ADMIN,
      responses: { 201: answer('The path of the copy.', 'Backup'), ...problems(401, 409, 503) },
    }),
  },
  '/routes': {
    get: operation('listRoutes', 'List the durable routes with their request counts', {
      ...ADMIN,
      responses: { 200: answer('The routes.', 'Routes'), ...problems(401, 503) },
    }),
  },
  '/routes/{name}/pause': {
    post: operation('pauseRoute', 'Pause a route: its due requests are not sent', {
      ...ADMIN,
      parameters: [NAME],
      responses: { 200: answer('Paused.', 'Paused'), ...problems(401, 404, 503) },
    }),
  },
  '/routes/{name}/resume': {
    post: operation('resumeRoute', 'Resume a route', {
      ...ADMIN,
      parameters: [NAME],
      responses: { 200: answer('Resumed.', 'Paused'), ...problems(401, 404, 503) },
    }),
  },
};

const SCHEDULES = {
  '/schedules': {
    get: operation('listSchedules', 'List the schedules with their last and next runs', {
      ...ADMIN,
      responses: { 200: answer('The schedules.', 'Schedules'), ...problems(401, 503) },
    }),
  },
  '/schedules/{schedule}/response': {
    get: operation('getScheduleResponse', 'Get the response of the last successful run of a schedule', {
      security: [{}],
      parameters: [SCHEDULE],
      responses: {
        200: { description: 'The response of the upstream, byte for byte.', content: ANYTHING },
        ...problems(404, 410, 503),
        default: { description: 'Any other status of the upstream.', content: ANYTHING },
      },
    }),
  },
  '/schedules/{schedule}/run': {
    post: operation('runSchedule', 'Run a schedule now, in addition to its slots', {
      ...ADMIN,
      parameters: [SCHEDULE],
      responses: { 202: PENDING, ...problems(401, 404, 409, 503) },
    }),
  },
  '/schedules/{schedule}/pause': {
    post: operation('pauseSchedule', 'Pause a schedule: its slots are skipped', {
      ...ADMIN,
      parameters: [SCHEDULE],
      responses: { 200: answer('Paused.', 'PausedSchedule'), ...problems(401, 404, 503) },
    }),
  },
  '/schedules/{schedule}/resume': {
    post: operation('resumeSchedule', 'Resume a schedule', {
      ...ADMIN,
      parameters: [SCHEDULE],
      responses: { 200: answer('Resumed.', 'PausedSchedule'), ...problems(401, 404, 503) },
    }),
  },
};

const PARAMETERS = {
  schedule: {
    name: 'schedule',
    in: 'path',
    required: true,
    description: 'Name of the schedule in the configuration.',
    schema: { type: 'string' },
  },
  id: {
    name: 'id',
    in: 'path',
    required: true,
    description: 'Id of the request, the last segment of Location.',
    schema: { type: 'string' },
  },
  name: {
    name: 'name',
    in: 'path',
    required: true,
    description: 'Name of the route as upstream/route; the slash may be percent-encoded.',
    schema: { type: 'string' },
  },
  prefer: {
    name: 'Prefer',
    in: 'header',
    description: 'wait=30: wait up to 30 seconds for a change (RFC 7240).',
    schema: { type: 'string' },
  },
  ifNoneMatch: {
    name: 'If-None-Match',
    in: 'header',
    description: 'The known ETag; with Prefer: wait, the answer waits for a change.',
    schema: { type: 'string' },
  },
};

/** The OpenAPI 3.1 document of the HTTP API below `prefix`. */
export function openapi(prefix: string): object {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Breakwater: durable requests',
      version: '1.0.0',
      description:
        'A request with `Prefer: respond-async` on a durable route is answered with 202 and the path of its status monitor.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: prefix, description: 'On the listen address and on the admin address.' }],
    paths: { ...REQUESTS, ...FLEET, ...SCHEDULES },
    components: {
      schemas: SCHEMAS,
      parameters: PARAMETERS,
      securitySchemes: {
        adminToken: { type: 'http', scheme: 'bearer', description: 'admin_token in the configuration.' },
        caller: {
          type: 'apiKey',
          in: 'header',
          name: 'Authorization',
          description: 'The credentials that the request was submitted with, if any.',
        },
      },
    },
  };
}
