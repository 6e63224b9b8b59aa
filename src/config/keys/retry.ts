import { GRPC_STATUSES } from '../../http/grpc.ts';
import { section, shorthand } from '../fields/field.ts';
import {
  choice,
  decimal,
  duration,
  flag,
  integer,
  isOff,
  rate,
  statuses,
  text,
  texts,
  words,
} from '../fields/fields.ts';
import { checkHeaderName } from '../fields/words.ts';
import { backoffKeys } from './backoff.ts';

const backoff = backoffKeys({ base: '100ms', overloadedBase: '1s', max: '10s', jitter: 'full' });

export const retry = shorthand(
  section(
    'When and how a failed attempt is followed by another.',
    {
      attempts: integer(
        3,
        'Attempts in all, the first included; 1 (or retry: off) means never retry.',
        1,
        100,
      ),
      statuses: statuses(
        [408, 425, 429, '5xx'],
        'Answered statuses worth another attempt, where the method may be repeated. 5xx: every 5xx but 501, 505, 506, 510 and 511. 500 and an unknown 5xx only for GET and HEAD.',
      ),
      not_processed: statuses(
        [],
        'Statuses by which this API says that it has done nothing, so that even a POST without a key may be sent again.',
      ),
      grpc_statuses: words(
        GRPC_STATUSES,
        [],
        'Errors by which this gRPC service says that it has done nothing: a call that nothing else is answered to (trailers-only) is sent again, as gRPC clients do by their service config. For example [unavailable, resource_exhausted].',
      ),
      idempotency_key: choice(
        ['none', 'pass', 'inject', 'require'],
        'none',
        'What an idempotency key means to this API. pass: POST and PATCH with one may be repeated; inject: one is made where the client sent none; require: a POST or PATCH without one is refused.',
      ),
      safe: flag(
        false,
        'Whether calls change nothing there, whatever their method: they may be repeated like a GET.',
      ),
      idempotency_header: text('idempotency-key', 'The header that carries it.', checkHeaderName),
      limit_client_retries: flag(
        true,
        "Whether retries are the proxy's alone: a client's own are charged to the budget, and a reply after which nothing more is to be tried tells SDKs so.",
      ),
      veto_headers: texts(
        'Headers by which the API says whether a call may be repeated (false: never; true: it passes), and by which its SDK is told so.',
        checkHeaderName,
        ['x-should-retry', 'stripe-should-retry'],
      ),
      backoff: backoff.optional(),
      retry_after: section('Waits that the upstream asks for.', {
        max: duration(
          '90s',
          'A Retry-After beyond this is not waited for: the reply goes to the client. The default covers a minute; SDKs wait as long.',
        ),
      }).optional(),
      budget: section('Retries of an upstream are paid for by its successes.', {
        cap: decimal(10, 'Most tokens that are kept; a retry costs one.', 0, 1_000_000),
        ratio: decimal(1, 'Tokens earned by a successful attempt.', 0, 10),
        refill: rate('0.1/s', 'Tokens earned by time alone, while the breaker is closed.'),
      }).optional(),
    },
    'retry',
  ),
  {
    type: 'off or a map of keys',
    json: { enum: ['off', 'none'] },
    expand: (found) => (isOff(found) ? { attempts: 1 } : undefined),
  },
);
