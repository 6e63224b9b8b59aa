import { type Preset, safePosts, tooManyRequests } from './preset.ts';

const SDK = 'https://github.com/dropbox/dropbox-sdk-python/blob/main/dropbox/dropbox_client.py';
const HOSTS = 'https://github.com/dropbox/dropbox-sdk-python/blob/main/dropbox/session.py';

const reads = safePosts('https://github.com/dropbox/dropbox-sdk-python/blob/main/dropbox/files.py');

/** Every call is a POST. The client repeats any of them after a 429, and after a 5xx. */
export const dropbox: Preset = {
  hosts: ['api.dropboxapi.com', 'content.dropboxapi.com'],
  about:
    'A 429 was never processed, and its body or `Retry-After` has the wait; POSTs that list, search and download may be repeated.',
  source: HOSTS,
  verified: '2026-11-30',
  errors: { rules: [tooManyRequests(SDK, '/error/retry_after')] },
  routes: [
    reads('list-folder', '/2/files/list_folder'),
    reads('list-folder-continue', '/2/files/list_folder/continue'),
    reads('list-revisions', '/2/files/list_revisions'),
    reads('get-metadata', '/2/files/get_metadata'),
    reads('get-temporary-link', '/2/files/get_temporary_link'),
    reads('search', '/2/files/search_v2'),
    reads('search-continue', '/2/files/search/continue_v2'),
    reads('download', '/2/files/download'),
  ],
};
