import { createHash } from 'node:crypto';
import aws4 from 'aws4';
import { describe, expect, test } from 'vitest';
import type { AwsKeys } from '../../src/auth/aws.ts';
import { signedHeaders } from '../../src/auth/sign.ts';
import { sigv4Credential } from '../../src/auth/sigv4.ts';
import { EMPTY_BODY, type RequestBody, wholeBody } from '../../src/http/bodies/request-body.ts';
import { headerOf } from '../../src/http/headers.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { stubCall } from '../support/stub-call.ts';

const KEYS: AwsKeys = {
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
};
const UNRESERVED = '-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const FORM = ['Content-Type', 'application/x-www-form-urlencoded'];

const signatureOf = (headers: readonly string[]) =>
  /Signature=(\w+)$/.exec(headerOf(headers, 'authorization') ?? '')?.[1];

describe('the published test suite of Signature Version 4', () => {
  test.each<[string, string, string, readonly string[], string, string]>([
    ['get-vanilla', 'GET', '/', [], '', '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31'],
    ['post-vanilla', 'POST', '/', [], '', '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b'],
    [
      'get-vanilla-query-order-key-case',
      'GET',
      '/?Param2=value2&Param1=value1',
      [],
      '',
      'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
    ],
    [
      'get-vanilla-query-order-value',
      'GET',
      '/?Param1=value2&Param1=value1',
      [],
      '',
      '5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694',
    ],
    [
      'get-vanilla-query-unreserved',
      'GET',
      `/?${UNRESERVED}=${UNRESERVED}`,
      [],
      '',
      '9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197',
    ],
    [
      'get-unreserved',
      'GET',
      `/${UNRESERVED}`,
      [],
      '',
      '07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f',
    ],
    [
      'post-x-www-form-urlencoded',
      'POST',
      '/',
      FORM,
      'Param1=value1',
      'ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a',
    ],
  ])('%s', async (...[, method, target, headers, body, signature]) => {
    const parts = { method, target, host: 'example.amazonaws.com', headers, payload: Buffer.from(body) };
    const scope = { region: 'us-east-1', service: 'service' };
    const signed = await signedHeaders(parts, scope, KEYS, Date.UTC(2015, 7, 30, 12, 36));
    expect(headerOf(signed, 'x-amz-date')).toBe('20150830T123600Z');
    expect(signatureOf(signed)).toBe(signature);
  });
});

describe('the examples of the documentation of S3', () => {
  const empty = createHash('sha256').digest('hex');
  test.each([
    ['/?lifecycle', 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543'],
    ['/?max-keys=2&prefix=J', '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7'],
  ])('%s', async (target, signature) => {
    const parts = {
      method: 'GET',
      target,
      host: 'examplebucket.s3.amazonaws.com',
      headers: [],
      payload: empty,
    };
    const keys = {
      accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
      secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
    };
    const signed = await signedHeaders(
      parts,
      { region: 'us-east-1', service: 's3' },
      keys,
      Date.UTC(2013, 4, 24),
    );
    expect(signatureOf(signed)).toBe(signature);
  });
});

describe('against aws4', () => {
  test.each([
    ['bedrock', 'POST', '/model/anthropic.claude-3:1/invoke', '{"a":1}'],
    ['bedrock', 'POST', '/model/arn%3Aaws%3Abedrock/converse', '{"ä":1}'],
    ['dynamodb', 'POST', '/', '{}'],
    ['s3', 'PUT', '/bucket/a%20b/c%2Fd', 'the object'],
    ['s3', 'PUT', '/bucket/(a)*', 'the object'],
    ['s3', 'GET', '/bucket?list-type=2&prefix=a%2Fb%20c&delimiter=', ''],
  ])('%s %s %s', async (service, method, target, body) => {
    const wallMs = Date.UTC(2026, 0, 1);
    const keys = { ...KEYS, sessionToken: 'the/session+token==' };
    const hash = createHash('sha256').update(body).digest('hex');
    const headers = ['content-type', 'application/json', 'x-amz-target', 'a  b', 'x-trace', 'unsigned'];
    const payload = service === 's3' ? hash : Buffer.from(body);
    const signed = await signedHeaders(
      { method, target, host: 'a.example:8443', headers, payload },
      { region: 'eu-central-1', service },
      keys,
      wallMs,
    );
    const theirs = aws4.sign(
      {
        service,
        region: 'eu-central-1',
        method,
        path: target,
        body,
        headers: {
          Host: 'a.example:8443',
          'Content-Type': 'application/json',
          'X-Amz-Target': 'a b',
          'X-Amz-Date': '20260101T000000Z',
          ...(service === 's3' && { 'X-Amz-Content-Sha256': hash }),
        },
        extraHeadersToIgnore: { 'content-length': true },
      } as Parameters<typeof aws4.sign>[0],
      keys,
    );
    expect(headerOf(signed, 'authorization')).toBe(theirs.headers?.['Authorization']);
    expect(headerOf(signed, 'x-trace')).toBe('unsigned');
  });
});

describe('the payload', () => {
  const arriving: RequestBody = { ...EMPTY_BODY, arriving: true, whole: () => Promise.resolve(undefined) };
  const authorize = async (service: string, body: RequestBody, headers: readonly string[] = []) => {
    const call = stubCall({ method: 'PUT', target: '/x', body, headers });
    const scope = { region: 'eu-central-1', service };
    const credential = sigv4Credential({
      ...scope,
      clock: new FakeClock(),
      host: 'a.example',
      keys: () => KEYS,
    });
    return (await credential.authorize(call, call.attempt)).headers;
  };
  const stated = (headers: readonly string[]) => headerOf(headers, 'x-amz-content-sha256');

  test('of S3 is hashed if it is buffered, and unsigned if it still arrives', async () => {
    const whole = wholeBody([Buffer.from('a'), Buffer.from('b')], EMPTY_BODY);
    expect(stated(await authorize('s3', whole))).toBe(createHash('sha256').update('ab').digest('hex'));
    expect(stated(await authorize('s3', arriving))).toBe('UNSIGNED-PAYLOAD');
    const chunked = ['x-amz-content-sha256', 'STREAMING-UNSIGNED-PAYLOAD-TRAILER'];
    expect(stated(await authorize('s3', arriving, chunked))).toBe('STREAMING-UNSIGNED-PAYLOAD-TRAILER');
  });

  test('of another service must be buffered', async () => {
    await expect(authorize('bedrock', arriving)).rejects.toMatchObject({ code: 'payload_too_large' });
  });

  test('with chunks that the client has signed is refused', async () => {
    const headers = ['X-Amz-Content-Sha256', 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD'];
    await expect(authorize('s3', arriving, headers)).rejects.toMatchObject({ code: 'bad_request' });
  });
});
