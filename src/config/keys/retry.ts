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
    'When a failed attempt is repeated, and after which wait.',
    {
      attempts: integer(3, 'Attempts in all, including the first. 1 or retry: off: no retries.', 1, 100),
      statuses: statuses(
        [408, 425, 429, '5xx'],
        'Statuses after which a call that may be repeated is sent again. 5xx: every 5xx but 501, 505, 506, 510 and 511. 500 and unknown 5xx: only for GET and HEAD.',
      ),
      not_processed: statuses(
        [],
        'Statuses that mean on this API: nothing was processed. Even a POST without a key may then be sent again.',
      ),
      grpc_statuses: words(
        GRPC_STATUSES,
        [],
        'Errors that mean on this gRPC service: nothing was processed. A call whose whole reply is such an error (trailers-only) is sent again, as by the service config of gRPC clients. For example [unavailable, resource_exhausted].',
      ),
      idempotency_key: choice(
        ['none', 'pass', 'inject', 'require'],
        'none',
        'How this API uses idempotency keys. none: not at all. pass: POST and PATCH with a key may be repeated. inject: the proxy adds a key if the client sent none. require: a POST or PATCH without a key is refused.',
      ),
      safe: flag(
        false,
        'true: calls change nothing at the API, whatever their method, and may be repeated like a GET.',
      ),
      idempotency_header: text('idempotency-key', 'The header with the idempotency key.', checkHeaderName),
      limit_client_retries: flag(
        true,
        'true: retries that a client makes itself cost tokens of the budget, and a final reply tells SDKs not to retry.',
      ),
      veto_headers: texts(
        'Response headers that say whether a call may be repeated (true or false). The proxy obeys them, and uses them to stop retries of SDKs.',
        checkHeaderName,
        ['x-should-retry', 'stripe-should-retry'],
      ),
      backoff: backoff.optional(),
      retry_after: section('Waits that the upstream asks for.', {
        max: duration(
          '90s',
          'With a longer Retry-After there is no retry: the client gets the reply. The default covers waits of a minute.',
        ),
      }).optional(),
      budget: section(
        'Retry budget: each retry costs a token, and successes earn tokens. A route that writes it has its own budget.',
        {
          cap: decimal(10, 'Most tokens that can be saved. A retry costs one.', 0, 1_000_000),
          ratio: decimal(1, 'Tokens earned by a successful attempt.', 0, 10),
          refill: rate('0.1/s', 'Tokens earned by time, while the breaker is closed.'),
        },
      ).optional(),
    },
    'retry',
  ),
  {
    type: 'off or a map of keys',
    json: { enum: ['off', 'none'] },
    expand: (found) => (isOff(found) ? { attempts: 1 } : undefined),
  },
);
