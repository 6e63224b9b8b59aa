import type { Preset, PresetErrorRule } from './preset.ts';

const SDK =
  'https://github.com/smithy-lang/smithy-typescript/blob/main/packages/core/src/submodules/retry/service-error-classification/constants.ts';
const S3 = 'https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html';

/** Throttling errors of the SDK's list. They may always be repeated. */
const THROTTLING = [
  'BandwidthLimitExceeded',
  'EC2ThrottledException',
  'LimitExceededException',
  'PriorRequestNotComplete',
  'ProvisionedThroughputExceededException',
  'RequestLimitExceeded',
  'RequestThrottled',
  'RequestThrottledException',
  'SlowDown',
  'ThrottledException',
  'Throttling',
  'ThrottlingException',
  'TooManyRequestsException',
  'TransactionInProgressException',
];
const TRANSIENT = ['RequestTimeout', 'RequestTimeoutException'];

const THROTTLED = {
  source: SDK,
  status: [400, 403, 429, 500, 503],
  means: 'not_processed',
  throttled: true,
} as const;
const PASSES = { source: SDK, status: [400, 408, 500, 503], means: 'retry' } as const;

/** The name of an error is in a header, in JSON as `__type` or `code` (after a namespace or before a URL), or in XML. */
function named(name: string, codes: readonly string[], meaning: Partial<PresetErrorRule>): PresetErrorRule[] {
  const variants = codes.flatMap((code) => [code, `${code}:*`, `*#${code}`]);
  return [
    { name, headers: { 'x-amzn-errortype': variants }, ...meaning },
    { name, body: { '/__type': variants }, ...meaning },
    { name, body: { '/code': variants }, ...meaning },
    { name, text: codes.map((code) => `<Code>${code}</Code>`), ...meaning },
  ];
}

/**
 * Signatures of an SDK are valid for some minutes, and a retry within `timeouts.total` is earlier.
 *
 * Compared: the names of errors with the list of its SDK.
 */
export const aws: Preset = {
  hosts: ['*.amazonaws.com'],
  url: 'https://{service}.{region}.amazonaws.com',
  about:
    'Throttling and timeouts by the name of the error, in each of the four places where services put it, with 400, 403, 429 and 5xx. `auth.sigv4` signs each attempt.',
  source: SDK,
  verified: '2026-11-30',
  sources: { 'errors.rules': S3 },
  errors: {
    rules: [...named('throttled', THROTTLING, THROTTLED), ...named('request_timeout', TRANSIENT, PASSES)],
  },
};
