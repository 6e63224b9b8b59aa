import { section } from './fields/field.ts';
import { size } from './fields/fields.ts';
import { breaker } from './policies/breaker.ts';
import { cache } from './policies/cache.ts';
import { concurrency } from './policies/concurrency.ts';
import { dedupe } from './policies/dedupe.ts';
import { durable } from './policies/durable.ts';
import { errors } from './policies/errors.ts';
import { fallback } from './policies/fallback.ts';
import { hedge } from './policies/hedge.ts';
import { identity } from './policies/identity.ts';
import { overrides } from './policies/overrides.ts';
import { quota } from './policies/quota.ts';
import { resume } from './policies/resume.ts';
import { retry } from './policies/retry.ts';
import { signed } from './policies/signed.ts';

/** The keys of every policy, as they stand in `defaults`, in an upstream and in a route. One file each in policies/. */
export const policies = {
  retry: retry.optional(),
  errors: errors.optional(),
  resume: resume.optional(),
  cache: cache.optional(),
  dedupe: dedupe.optional(),
  quota: quota.optional(),
  breaker: breaker.optional(),
  concurrency: concurrency.optional(),
  hedge: hedge.optional(),
  fallback: fallback.optional(),
  overrides: overrides.optional(),
  signed: signed.optional(),
  durable: durable.optional(),
  identity: identity.optional(),
  request: section('The request body.', {
    max_replay: size(
      '1MiB',
      'A body up to this size is kept while it streams, so that it can be sent again.',
      2 ** 30,
    ),
  }).optional(),
};
