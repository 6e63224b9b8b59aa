import type { PresetExamples } from '../../support/preset-examples.ts';

export const dropbox: PresetExamples = {
  hosts: ['api.dropboxapi.com', 'content.dropboxapi.com'],
  replies: [
    {
      call: 'POST /2/files/delete_v2',
      status: 429,
      body: {
        error_summary: 'too_many_write_operations/..',
        error: { reason: { '.tag': 'too_many_write_operations' }, retry_after: 2 },
      },
      means: 'retry rate_limited throttled 2s',
    },
    {
      call: 'POST /2/files/delete_v2',
      status: 429,
      headers: { 'retry-after': '15' },
      means: 'retry rate_limited throttled 15s',
    },
    { call: 'POST /2/files/list_folder', status: 500, means: 'retry' },
    { call: 'POST /2/files/delete_v2', status: 503, means: 'not_idempotent' },
    {
      call: 'POST /2/files/get_metadata',
      status: 409,
      body: { error_summary: 'path/not_found/' },
      means: 'not_retryable',
    },
  ],
  requests: [
    { call: 'POST /2/files/list_folder', repeats: 'safe' },
    { call: 'POST /2/files/list_folder/continue', repeats: 'safe' },
    { call: 'POST /2/files/list_revisions', repeats: 'safe' },
    { call: 'POST /2/files/get_metadata', repeats: 'safe' },
    { call: 'POST /2/files/get_temporary_link', repeats: 'safe' },
    { call: 'POST /2/files/search_v2', repeats: 'safe' },
    { call: 'POST /2/files/search/continue_v2', repeats: 'safe' },
    { call: 'POST /2/files/download', repeats: 'safe' },
    { call: 'POST /2/files/upload', repeats: 'none' },
  ],
};
