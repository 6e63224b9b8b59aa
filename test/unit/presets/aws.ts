import type { PresetExamples } from '../../support/preset-examples.ts';

export const aws: PresetExamples = {
  hosts: ['dynamodb.eu-central-1.amazonaws.com', 'bedrock-runtime.eu-central-1.amazonaws.com'],
  replies: [
    {
      status: 400,
      headers: { 'x-amzn-errortype': 'ThrottlingException:http://internal.amazon.com/coral/' },
      means: 'retry throttled throttled',
    },
    {
      status: 400,
      body: { __type: 'com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException' },
      means: 'retry throttled throttled',
    },
    {
      status: 503,
      body: '<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>x</Message></Error>',
      means: 'retry throttled throttled',
    },
    {
      status: 429,
      headers: { 'x-amz-retry-after': '300' },
      body: { code: 'TooManyRequestsException' },
      means: 'retry throttled throttled 0.3s',
    },
    {
      call: 'GET /x',
      status: 400,
      body: '<Error><Code>RequestTimeout</Code></Error>',
      means: 'retry request_timeout',
    },
    {
      status: 400,
      body: '<Error><Code>RequestTimeout</Code></Error>',
      means: 'not_idempotent request_timeout',
    },
    { status: 400, body: { __type: 'ValidationException' }, means: 'not_retryable' },
  ],
};
