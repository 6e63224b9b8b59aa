import { type OutgoingHttpHeaders, request } from 'node:http';
import aws4 from 'aws4';
import { describe, expect, test } from 'vitest';
import { throughBreakwater } from '../../examples/aws/through-breakwater.ts';
import { apiConfig, type Breakwater } from '../support/breakwater.ts';
import { type Origin, startOrigin } from '../support/origin.ts';
import { isSigned, type SignedRequest, verifying } from '../support/sigv4.ts';
import { startTidy } from '../support/tidy.ts';

const SECRET = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
const BODY = '{"TableName":"orders"}';

/** A request that AWS has published with its signature. */
interface Vector extends Omit<SignedRequest, 'headers'> {
  readonly title: string;
  readonly secret: string;
  readonly scope: string;
  readonly signed: Readonly<Record<string, string>>;
  readonly signature: string;
}

const SUITE = {
  secret: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
  scope: 'AKIDEXAMPLE/20150830/us-east-1/service/aws4_request',
  target: '/',
  body: '',
  signed: { host: 'example.amazonaws.com', 'x-amz-date': '20150830T123600Z' },
};
const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const S3_HOST = { host: 'examplebucket.s3.amazonaws.com' };
const S3_TIME = { 'x-amz-date': '20130524T000000Z' };
const S3 = {
  method: 'GET',
  secret: SECRET,
  scope: 'AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request',
  body: '',
  signed: { ...S3_HOST, 'x-amz-content-sha256': EMPTY, ...S3_TIME },
};

/** The first two: aws-sig-v4-test-suite. The others: the S3 API Reference, "Examples: Signature Calculations". */
const VECTORS: readonly Vector[] = [
  {
    ...SUITE,
    title: 'get-vanilla',
    method: 'GET',
    signature: '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31',
  },
  {
    ...SUITE,
    title: 'post-vanilla',
    method: 'POST',
    signature: '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b',
  },
  {
    ...S3,
    title: 'GET Object',
    target: '/test.txt',
    signed: { ...S3_HOST, range: 'bytes=0-9', 'x-amz-content-sha256': EMPTY, ...S3_TIME },
    signature: 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
  },
  {
    ...S3,
    title: 'PUT Object',
    method: 'PUT',
    target: '/test%24file.text',
    body: 'Welcome to Amazon S3.',
    signed: {
      date: 'Fri, 24 May 2013 00:00:00 GMT',
      ...S3_HOST,
      'x-amz-content-sha256': '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072',
      ...S3_TIME,
      'x-amz-storage-class': 'REDUCED_REDUNDANCY',
    },
    signature: '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
  },
  {
    ...S3,
    title: 'GET Bucket Lifecycle',
    target: '/?lifecycle',
    signature: 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
  },
  {
    ...S3,
    title: 'List Objects',
    target: '/?prefix=J&max-keys=2',
    signature: '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
  },
];

describe('the verifier of these tests agrees with AWS', () => {
  test.each(VECTORS)('$title', ({ scope, signed, signature, secret, ...sent }) => {
    const names = Object.keys(signed).join(';');
    const authorization = `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=${names}, Signature=${signature}`;
    const arrived = { ...sent, headers: { ...signed, authorization } };
    expect(isSigned(arrived, secret)).toBe(true);
    for (const change of [{ target: '/other' }, { method: 'PATCH' }, { body: 'other' }])
      expect(isSigned({ ...arrived, ...change }, secret)).toBe(false);
    expect(isSigned({ ...arrived, headers: { ...arrived.headers, host: 'other' } }, secret)).toBe(false);
  });
});

/** The parts of the SDK that matter here: it signs for its endpoint, then sends by the last step of its stack. */
class Sdk {
  #send = sendRequest;
  readonly #host: string;

  constructor(host: string) {
    this.#host = host;
  }

  use({ applyToStack }: ReturnType<typeof throughBreakwater>): this {
    applyToStack({
      add: (middleware) => {
        const next = this.#send;
        this.#send = (step) => middleware(next as never)(step) as Promise<number>;
      },
    });
    return this;
  }

  call(path: string, service = 'dynamodb'): Promise<number> {
    const [hostname = '', port] = this.#host.split(':');
    const signed = aws4.sign(
      {
        host: this.#host,
        method: 'POST',
        path,
        body: BODY,
        service,
        region: 'us-east-1',
        headers: {
          'content-type': 'application/x-amz-json-1.0',
          'x-amz-target': 'DynamoDB_20120810.DescribeTable',
          'amz-sdk-request': 'attempt=1; max=3',
        },
      },
      { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: SECRET },
    );
    const target: Target = {
      protocol: 'http:',
      hostname,
      port: Number(port),
      path,
      clone: () => ({ ...target }),
    };
    return this.#send({ request: target, headers: signed.headers ?? {} });
  }
}

interface Target {
  protocol: string;
  hostname: string;
  port?: number;
  path: string;
  clone(): Target;
}

interface Sent {
  readonly request: Target;
  readonly headers: OutgoingHttpHeaders;
}

function sendRequest({ request: { protocol, hostname, port, path }, headers }: Sent): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const sent = request({ protocol, hostname, port, path, method: 'POST', headers }, (reply) => {
    reply.resume().on('end', () => resolve(reply.statusCode ?? 0));
  });
  sent.on('error', reject).end(BODY);
  return promise;
}

describe('AWS SDKs', () => {
  const start = (origin: Origin): Promise<Breakwater> =>
    startTidy(apiConfig(origin, '    preset: aws\n    signed: true\n'));

  test.each(['/', '/a%20b/c?x=1&y=%2F', '/2015-03-31/functions/arn%3Aaws%3Alambda/invocations'])(
    'that sign for the host of the upstream and send to the proxy are understood: %s',
    async (path) => {
      const origin = await startOrigin(verifying(SECRET, 200));
      const proxy = await start(origin);
      const sdk = new Sdk(new URL(origin.url).host).use(throughBreakwater(`${proxy.url}/api`));
      expect(await sdk.call(path)).toBe(200);
      expect(origin.requests[0]?.url).toBe(path);
    },
  );

  test('keep their signature through retries of the proxy', async () => {
    const origin = await startOrigin(...[503, 503, 200].map((code) => verifying(SECRET, code)));
    const proxy = await startTidy(
      apiConfig(origin, '    preset: aws\n    signed: true\n    retry: { safe: true }\n'),
    );
    const sdk = new Sdk(new URL(origin.url).host).use(throughBreakwater(`${proxy.url}/api/`));
    expect(await sdk.call('/')).toBe(200);
    expect(origin.requests.length).toBe(3);
  });

  test('with the proxy as their endpoint sign for the wrong host', async () => {
    const origin = await startOrigin(verifying(SECRET, 200));
    const proxy = await start(origin);
    expect(await new Sdk(`127.0.0.1:${proxy.port}`).call('/api/')).toBe(403);
  });
});
