import type { Preset, PresetErrorRule } from './preset.ts';

const ERRORS = 'https://developer.salesforce.com/docs/platform/api-rest/guide/errorcodes.html';

const exceeded = (
  name: string,
  source: string,
  message: string,
  means: 'permanent' | 'not_processed',
): PresetErrorRule => ({
  name,
  source,
  status: 403,
  body: { '/*/errorCode': 'REQUEST_LIMIT_EXCEEDED', '/*/message': message },
  means,
  throttled: true,
});

export const salesforce: Preset = {
  hosts: ['*.salesforce.com'],
  url: 'https://{domain}.my.salesforce.com',
  about:
    'A 403 with `REQUEST_LIMIT_EXCEEDED`: too many calls at once are repeated, the limit of the day is not.',
  source: ERRORS,
  verified: '2026-11-30',
  errors: {
    rules: [
      exceeded(
        'limit_of_the_day',
        'https://github.com/SalesforceLabs/OrgCheck/issues/181',
        'TotalRequests*',
        'permanent',
      ),
      exceeded(
        'too_many_at_once',
        'https://github.com/SalesforceLabs/OrgCheck/issues/432',
        'Concurrent*',
        'not_processed',
      ),
    ],
  },
};
