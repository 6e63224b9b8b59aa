import type { PresetExamples } from '../../support/preset-examples.ts';

export const plaid: PresetExamples = {
  hosts: ['production.plaid.com', 'sandbox.plaid.com'],
  replies: [
    {
      call: 'POST /item/remove',
      status: 429,
      body: { error_type: 'RATE_LIMIT_EXCEEDED', error_code: 'RATE_LIMIT' },
      means: 'retry rate_limit_exceeded throttled',
    },
    {
      call: 'POST /accounts/get',
      status: 500,
      body: { error_type: 'API_ERROR', error_code: 'INTERNAL_SERVER_ERROR' },
      means: 'retry',
    },
    {
      call: 'POST /transfer/create',
      status: 500,
      body: { error_type: 'API_ERROR', error_code: 'INTERNAL_SERVER_ERROR' },
      means: 'not_retryable',
    },
    {
      call: 'POST /accounts/get',
      status: 400,
      body: { error_type: 'ITEM_ERROR', error_code: 'ITEM_LOGIN_REQUIRED' },
      means: 'not_retryable',
    },
  ],
  requests: [
    { call: 'POST /accounts/get', repeats: 'safe' },
    { call: 'POST /accounts/balance/get', repeats: 'safe' },
    { call: 'POST /cra/check_report/pdf/get', repeats: 'safe' },
    { call: 'POST /transfer/list', repeats: 'safe' },
    { call: 'POST /transfer/event/list', repeats: 'safe' },
    { call: 'POST /transfer/repayment/return/list', repeats: 'safe' },
    { call: 'POST /transactions/sync', repeats: 'safe' },
    { call: 'POST /transfer/event/sync', repeats: 'safe' },
    { call: 'POST /institutions/search', repeats: 'safe' },
    { call: 'POST /institutions/get_by_id', repeats: 'safe' },
    { call: 'POST /transfer/create', repeats: 'none' },
    { call: 'POST /item/remove', repeats: 'none' },
  ],
};
