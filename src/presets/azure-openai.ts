import { failsWith200, quotaFormats, TOTAL_TOKENS, UNPAID } from './openai.ts';
import { FAILED_RESPONSES, STREAM, STREAM_SOURCES } from './openai-streams.ts';
import { type Preset, safePosts } from './preset.ts';

const LIMITS = 'https://learn.microsoft.com/azure/ai-services/openai/how-to/quota';
const FILTER =
  'https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-streaming#sample-response-stream-passes-filters';
const SDK = 'https://github.com/openai/openai-node/blob/master/src/azure.ts';

const answers = safePosts(SDK);

/**
 * Waits in milliseconds (`retry-after-ms`, `x-ms-retry-after-ms`) are obeyed for every API, so they need no rule here.
 *
 * Compared: paths of deployments and the key with its client.
 */
export const azureOpenai: Preset = {
  hosts: ['*.openai.azure.com'],
  url: 'https://{resource}.openai.azure.com',
  about: 'As OpenAI, at the paths of deployments.',
  source: LIMITS,
  verified: '2026-11-30',
  sources: {
    timeouts: SDK,
    'quota.wait': SDK,
    'retry.veto_headers': SDK,
    identity: SDK,
    ...STREAM_SOURCES,
  },
  identity: { secret_names: ['api-key'] },
  timeouts: { attempt: '10m', idle: '10m', total: '10m' },
  retry: { veto_headers: ['x-should-retry'] },
  // The API has sent -1, which means unknown, and resets of 0 (github.com/openai/openai-dotnet/issues/838).
  // Limits are per deployment, which the path names, or the model of the body.
  quota: {
    scope: '/model',
    wait: '2m',
    cost: { reply: TOTAL_TOKENS },
    credential_headers: ['api-key', 'authorization'],
    formats: quotaFormats({ reset_as: 'delta_s' }),
  },
  errors: { rules: [...UNPAID, ...FAILED_RESPONSES] },
  // The filter of the prompt reports its result at once, before the model has begun.
  stream: {
    ...STREAM,
    ignore: [...STREAM.ignore, { source: FILTER, body: { '/prompt_filter_results': '*' } }],
  },
  routes: [
    answers('deployment-chat-completions', '/openai/deployments/*/chat/completions'),
    answers('deployment-completions', '/openai/deployments/*/completions'),
    answers('deployment-embeddings', '/openai/deployments/*/embeddings'),
    answers('chat-completions', '/openai/v1/chat/completions'),
    answers('embeddings', '/openai/v1/embeddings'),
    failsWith200('responses', '/openai/v1/responses'),
    failsWith200('responses-with-version', '/openai/responses'),
  ],
};
