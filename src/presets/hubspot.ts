import { type Preset, type PresetErrorRule, safePosts, tooManyRequests } from './preset.ts';

const USAGE = 'https://developers.hubspot.com/docs/api/usage-details';
const SDK =
  'https://github.com/HubSpot/hubspot-api-nodejs/blob/master/src/services/decorators/RetryDecorator.ts';

const reads = safePosts('https://github.com/HubSpot/hubspot-api-nodejs/tree/master/codegen/crm');

/** Its client repeats any call after these, and waits so long. */
const WINDOW: Pick<PresetErrorRule, 'means' | 'source' | 'status' | 'throttled'> = {
  source: SDK,
  status: 429,
  means: 'not_processed',
  throttled: true,
};

export const hubspot: Preset = {
  hosts: ['api.hubapi.com'],
  about:
    'The limit of ten seconds and that of a second are waited for, that of the day is not; searches and batch reads only read.',
  source: USAGE,
  verified: '2026-11-30',
  errors: {
    rules: [
      {
        name: 'limit_of_the_day',
        source: USAGE,
        status: 429,
        body: { '/policyName': 'DAILY' },
        means: 'permanent',
        throttled: true,
      },
      {
        ...WINDOW,
        name: 'limit_of_ten_seconds',
        body: { '/policyName': 'TEN_SECONDLY_ROLLING' },
        wait: '10s',
      },
      {
        ...WINDOW,
        name: 'limit_of_a_second',
        body: { '/message': 'You have reached your secondly limit.' },
        wait: '1s',
      },
      tooManyRequests(USAGE),
    ],
  },
  routes: [reads('search', '/crm/v3/objects/*/search'), reads('batch-read', '/crm/v3/objects/*/batch/read')],
};
