import type { PresetExamples } from '../../support/preset-examples.ts';

export const googleMaps: PresetExamples = {
  hosts: ['maps.googleapis.com'],
  replies: [
    {
      call: 'GET /maps/api/geocode/json',
      status: 200,
      body: { status: 'OVER_QUERY_LIMIT' },
      means: 'retry over_query_limit throttled',
    },
    {
      call: 'GET /maps/api/geocode/json',
      status: 200,
      body: { status: 'OVER_DAILY_LIMIT' },
      means: 'permanent over_daily_limit throttled',
    },
    {
      call: 'GET /maps/api/geocode/json',
      status: 200,
      body: { status: 'UNKNOWN_ERROR' },
      means: 'retry unknown_error',
    },
    {
      call: 'GET /maps/api/geocode/json',
      status: 200,
      body: { results: [], status: 'ZERO_RESULTS' },
      means: 'success',
    },
  ],
};
