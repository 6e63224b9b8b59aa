import { type Preset, tooManyRequests } from './preset.ts';

const LIMITS = 'https://support.airtable.com/docs/managing-api-call-limits-in-airtable';

/** Its client repeats any call after a 429 (github.com/Airtable/airtable.js, src/run_action.ts). */
export const airtable: Preset = {
  hosts: ['api.airtable.com'],
  about: 'After a 429, which was never processed, a base refuses all calls for half a minute.',
  source: LIMITS,
  verified: '2026-11-30',
  // A little more than the half minute, for the spread of waits.
  quota: { wait: '35s' },
  errors: { rules: [tooManyRequests(LIMITS, '30s')] },
};
