import { section } from '../fields/field.ts';
import { choice, size } from '../fields/fields.ts';
import { breaker } from './breaker.ts';
import { cache } from './cache.ts';
import { concurrency } from './concurrency.ts';
import { dedupe } from './dedupe.ts';
import { durable } from './durable.ts';
import { errors } from './errors.ts';
import { fallback } from './fallback.ts';
import { faults } from './faults.ts';
import { hedge } from './hedge.ts';
import { identity } from './identity.ts';
import { overrides } from './overrides.ts';
import { quota } from './quota.ts';
import { resume } from './resume.ts';
import { retry } from './retry.ts';
import { signed } from './signed.ts';
import { stream } from './stream.ts';

/** The keys of every policy, in `defaults`, in an upstream and in a route. */
export const policies = {
  retry: retry.optional(),
  errors: errors.optional(),
  stream: stream.optional(),
  resume: resume.optional(),
  cache: cache.optional(),
  dedupe: dedupe.optional(),
  quota: quota.optional(),
  breaker: breaker.optional(),
  concurrency: concurrency.optional(),
  hedge: hedge.optional(),
  fallback: fallback.optional(),
  faults: faults.optional(),
  overrides: overrides.optional(),
  links: choice(
    ['pass', 'rewrite'],
    'pass',
    'URLs of the upstream in Location, Content-Location, Link, Operation-Location and Azure-AsyncOperation. rewrite: they become paths of the mount, so that the next page goes through the proxy too.',
  ),
  signed: signed.optional(),
  durable: durable.optional(),
  identity: identity.optional(),
  request: section('The request body.', {
    max_replay: size(
      '1MiB',
      'A body up to this size is buffered while it is sent, so that it can be sent again.',
      2 ** 30,
    ),
  }).optional(),
};
