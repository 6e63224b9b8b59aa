import { Webhook } from 'standardwebhooks';
import { expect, test } from 'vitest';
import { signatureHeaders, webhookKey } from '../../../src/durable/callbacks/sign.ts';

const secret = (fill: number, bytes = 32) => `whsec_${Buffer.alloc(bytes, fill).toString('base64')}`;
const keyOf = (text: string) => {
  const key = webhookKey(text);
  if (key === undefined) throw new Error(`${text} is no secret`);
  return key;
};
const asObject = (raw: readonly string[]) =>
  Object.fromEntries(raw.flatMap((name, i) => (i % 2 === 0 ? [[name, raw[i + 1] as string]] : [])));

const body = '{"type":"request.succeeded","data":{"id":"req_1"}}';
const now = () => Math.floor(Date.now() / 1000);

test('the reference library of Standard Webhooks accepts the signatures, with either secret during a rotation', () => {
  const fields = asObject(
    signatureHeaders([keyOf(secret(1)), keyOf(secret(2))], { id: 'req_1', timestamp: now(), body }),
  );
  for (const fill of [1, 2]) expect(new Webhook(secret(fill)).verify(body, fields)).toEqual(JSON.parse(body));
  expect(() => new Webhook(secret(3)).verify(body, fields)).toThrow('No matching signature found');
});

test('a changed body, id or timestamp is detected', () => {
  const fields = asObject(signatureHeaders([keyOf(secret(1))], { id: 'req_1', timestamp: now(), body }));
  const verify = (text: string, changed: object) => () =>
    new Webhook(secret(1)).verify(text, { ...fields, ...changed });
  expect(verify(`${body} `, {})).toThrow('No matching signature found');
  expect(verify(body, { 'webhook-id': 'req_2' })).toThrow('No matching signature found');
  expect(verify(body, { 'webhook-timestamp': String(now() - 1) })).toThrow('No matching signature found');
});

test.each([
  ['a short one', secret(1, 23)],
  ['a long one', secret(1, 65)],
  ['no base64', 'whsec_so secret'],
  ['nothing', 'whsec_'],
])('%s is not a secret', (_, text) => expect(webhookKey(text)).toBeUndefined());
