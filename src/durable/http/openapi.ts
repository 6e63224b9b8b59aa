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
  query('status', 'One or more, by commas.', { type: 'string' }),
  query('route', 'Upstream and route.', { type: 'string' }),
  query('label', 'One of its labels.', { type: 'string' }),
  query('key', 'Its Breakwater-Key.', { type: 'string' }),
  query('since', 'Accepted at or after.', { type: 'string', format: 'date-time' }),
  query('until', 'Accepted before.', { type: 'string', format: 'date-time' }),
  query('min_attempts', 'At least so many attempts were made.', { type: 'integer', minimum: 0 }),
  query('kind', 'What made it.', { type: 'string', enum: ['request', 'callback', 'scheduled'] }),
  query('parent', 'The request whose end it tells, or the schedule that made it.', { type: 'string' }),
  query('sort', 'next: only what has not ended, soonest first; without cursor.', {
    type: 'string',
    enum: ['newest', 'next'],
  }),
  query('cursor', 'Where the page before ended.', { type: 'string' }),
];
const limit = (required: boolean): Json =>
  query('limit', 'At most so many.', { type: 'integer', minimum: 1 }, required);

const REQUESTS = {
  '/requests/{id}': {
    get: operation('getRequest', 'Where a request stands', {
      ...CALLER,
      parameters: [ID, PREFER, ref('parameters', 'ifNoneMatch')],
      responses: {
        200: answer('The request.', 'Monitor', { ETag: ETAG, 'Retry-After': RETRY_AFTER }),
        304: { description: 'It is as the caller knows it.' },
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
    get: operation('getResponse', 'What the upstream answered', {
      ...CALLER,
      parameters: [ID, PREFER],
      responses: {
        200: { description: 'As the upstream answered, byte for byte.', content: ANYTHING },
        202: PENDING,
        ...problems(404, 409, 410, 502, 503, 504),
        default: { description: 'Any other status that the upstream answered.', content: ANYTHING },
      },
    }),
  },
  '/requests/{id}/attempts': {
    get: operation('getAttempts', 'Every attempt, and what was decided after it', {
      ...CALLER,
      parameters: [ID],
      responses: { 200: answer('The attempts.', 'Attempts'), ...problems(404, 410, 503) },
    }),
  },
  '/requests/{id}/cancel': {
    post: operation('cancelRequest', 'End a request; an attempt that runs is cut', {
      ...CALLER,
      parameters: [ID],
      responses: { 200: MONITOR, ...problems(404, 409, 410, 503) },
    }),
  },
  '/requests/{id}/retry': {
    post: operation('retryRequest', 'Send what waits now, and what has failed again', {
      ...CALLER,
      parameters: [ID, query('force', 'Also what has succeeded.', { type: 'boolean' })],
      responses: { 202: PENDING, ...problems(404, 409, 410, 503) },
    }),
  },
};

const FLEET = {
  '/requests': {
    get: operation('listRequests', 'Requests, newest first', {
      ...ADMIN,
      parameters: [...FILTER, limit(false)],
      responses: { 200: answer('A page of them.', 'List'), ...problems(400, 401, 503) },
    }),
  },
  '/requests/retry': {
    post: operation('retryRequests', 'Retry all that match', {
      ...ADMIN,
      parameters: [...FILTER, limit(true)],
      responses: { 200: answer('How many.', 'Changed'), ...problems(400, 401, 503) },
    }),
  },
  '/requests/cancel': {
    post: operation('cancelRequests', 'Cancel all that match', {
      ...ADMIN,
      parameters: [...FILTER, limit(true)],
      responses: { 200: answer('How many.', 'Changed'), ...problems(400, 401, 503) },
    }),
  },
  '/backup': {
    post: operation('backUp', 'Copy the embedded store, beside it, while it goes on working', {
      ...ADMIN,
      responses: { 201: answer('Where the copy is.', 'Backup'), ...problems(401, 409, 503) },
    }),
  },
  '/routes': {
    get: operation('listRoutes', 'The durable routes and how much waits there', {
      ...ADMIN,
      responses: { 200: answer('The routes.', 'Routes'), ...problems(401, 503) },
    }),
  },
  '/routes/{name}/pause': {
    post: operation('pauseRoute', 'Keep back what is due on a route', {
      ...ADMIN,
      parameters: [NAME],
      responses: { 200: answer('It is paused.', 'Paused'), ...problems(401, 404, 503) },
    }),
  },
  '/routes/{name}/resume': {
    post: operation('resumeRoute', 'Go on with a route', {
      ...ADMIN,
      parameters: [NAME],
      responses: { 200: answer('It goes on.', 'Paused'), ...problems(401, 404, 503) },
    }),
  },
};

const SCHEDULES = {
  '/schedules': {
    get: operation('listSchedules', 'The schedules with their last and next runs', {
      ...ADMIN,
      responses: { 200: answer('The schedules.', 'Schedules'), ...problems(401, 503) },
    }),
  },
  '/schedules/{schedule}/response': {
    get: operation('getScheduleResponse', 'What the last good run of a schedule has brought', {
      security: [{}],
      parameters: [SCHEDULE],
      responses: {
        200: { description: 'As the upstream answered, byte for byte.', content: ANYTHING },
        ...problems(404, 410, 503),
        default: { description: 'Any other status that the upstream answered.', content: ANYTHING },
      },
    }),
  },
  '/schedules/{schedule}/run': {
    post: operation('runSchedule', 'A run now, besides its slots', {
      ...ADMIN,
      parameters: [SCHEDULE],
      responses: { 202: PENDING, ...problems(401, 404, 409, 503) },
    }),
  },
  '/schedules/{schedule}/pause': {
    post: operation('pauseSchedule', 'Leave its slots out', {
      ...ADMIN,
      parameters: [SCHEDULE],
      responses: { 200: answer('It is paused.', 'PausedSchedule'), ...problems(401, 404, 503) },
    }),
  },
  '/schedules/{schedule}/resume': {
    post: operation('resumeSchedule', 'Go on with a schedule', {
      ...ADMIN,
      parameters: [SCHEDULE],
      responses: { 200: answer('It goes on.', 'PausedSchedule'), ...problems(401, 404, 503) },
    }),
  },
};

const PARAMETERS = {
  schedule: {
    name: 'schedule',
    in: 'path',
    required: true,
    description: 'Its name in the configuration.',
    schema: { type: 'string' },
  },
  id: { name: 'id', in: 'path', required: true, description: 'As in Location.', schema: { type: 'string' } },
  name: {
    name: 'name',
    in: 'path',
    required: true,
    description: 'Upstream and route, the slash encoded or not.',
    schema: { type: 'string' },
  },
  prefer: {
    name: 'Prefer',
    in: 'header',
    description: 'wait=30: the answer may take 30 seconds, if that brings news (RFC 7240).',
    schema: { type: 'string' },
  },
  ifNoneMatch: {
    name: 'If-None-Match',
    in: 'header',
    description: 'The ETag that is known; with Prefer, the answer waits for another.',
    schema: { type: 'string' },
  },
};

/** The HTTP interface as OpenAPI 3.1, below `prefix`. */
export function openapi(prefix: string): object {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Breakwater: durable requests',
      version: '1.0.0',
      description:
        'A request with `Prefer: respond-async` on a durable route is answered with 202 and the path of its monitor.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [
      { url: prefix, description: 'On the address that apps connect to, and on the admin listener.' },
    ],
    paths: { ...REQUESTS, ...FLEET, ...SCHEDULES },
    components: {
      schemas: SCHEMAS,
      parameters: PARAMETERS,
      securitySchemes: {
        adminToken: { type: 'http', scheme: 'bearer', description: 'admin_token of the configuration.' },
        caller: {
          type: 'apiKey',
          in: 'header',
          name: 'Authorization',
          description: 'The credentials that the request was made with, if any.',
        },
      },
    },
  };
}
