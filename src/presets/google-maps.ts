import type { Preset } from './preset.ts';

const STATUSES = 'https://developers.google.com/maps/documentation/geocoding/requests-geocoding#StatusCodes';
const RETRIES = 'https://developers.google.com/maps/documentation/geocoding/web-service-best-practices';
const KEYS = 'https://developers.google.com/maps/documentation/geocoding/get-api-key';

/** The older web services answer errors with status 200. */
const OF_THE_BODY = { source: STATUSES, status: 200 } as const;

/** Compared: the statuses in bodies with its client. */
export const googleMaps: Preset = {
  hosts: ['maps.googleapis.com'],
  url: 'https://maps.googleapis.com',
  about:
    'Errors come with status 200: a rate limit is retried, a daily limit is not. The key is a query parameter, which `auth.query` adds.',
  source: RETRIES,
  verified: '2026-11-30',
  sources: { 'errors.rules': STATUSES, 'identity.secret_names': KEYS },
  identity: { secret_names: ['key'] },
  errors: {
    inspect: 'all',
    rules: [
      {
        ...OF_THE_BODY,
        name: 'over_query_limit',
        body: { '/status': 'OVER_QUERY_LIMIT' },
        means: 'not_processed',
        throttled: true,
      },
      {
        ...OF_THE_BODY,
        name: 'over_daily_limit',
        body: { '/status': 'OVER_DAILY_LIMIT' },
        means: 'permanent',
        throttled: true,
      },
      { ...OF_THE_BODY, name: 'unknown_error', body: { '/status': 'UNKNOWN_ERROR' }, means: 'retry' },
    ],
  },
};
