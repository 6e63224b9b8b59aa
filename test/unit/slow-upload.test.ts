import { expect, test } from 'vitest';
import { type BodyReader, EMPTY_BODY } from '../../src/http/bodies/request-body.ts';
import { SlowUpload } from '../../src/policies/concurrency/slow-upload.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { settled } from '../support/stub-call.ts';

/** An upload whose chunks the test sends, as an upstream reads it. */
function setUp(headers: readonly string[] = []) {
  const clock = new FakeClock();
  const pipe = new TransformStream<Buffer, Buffer>();
  const client = pipe.writable.getWriter();
  const chunks = pipe.readable[Symbol.asyncIterator]();
  const source = {
    [Symbol.asyncIterator]: () => chunks,
    close: () => void client.close().catch(() => undefined),
  };
  const body = { ...EMPTY_BODY, arriving: true, open: () => source };
  const seen = { slow: 0, ends: 0 };
  const upload = new SlowUpload(
    { body, headers },
    { clock, onSlow: () => seen.slow++, mayEnd: () => Promise.resolve(void seen.ends++) },
  );
  const reader = upload.open() as BodyReader;
  const upstream = reader[Symbol.asyncIterator]();
  const send = async (text: string) => {
    void client.write(Buffer.from(text));
    await settled();
  };
  return { client, clock, reader, seen, send, upload, upstream };
}

test('an upload for which the upstream waits is slow after two checks, and reported once', async () => {
  const { clock, seen, upload, upstream } = setUp();
  void upstream.next();
  await clock.advance(1_999);
  expect(seen.slow).toBe(0);
  await clock.advance(1);
  expect([seen.slow, clock.pending]).toEqual([1, 0]);
  upload.dispose();
});

test('an upload is not slow because the upstream does not read it', async () => {
  const { clock, seen, send, upload, upstream } = setUp();
  await send('a');
  await upstream.next();
  await clock.advance(60_000);
  expect(seen.slow).toBe(0);
  upload.dispose();
  expect(clock.pending).toBe(0);
});

test('a complete upload is not slow, however long its upstream works', async () => {
  const { client, clock, seen, upload, upstream } = setUp();
  void client.close();
  expect((await upstream.next()).done).toBe(true);
  await clock.advance(60_000);
  expect(seen).toEqual({ slow: 0, ends: 1 });
  upload.dispose();
});

test('an upload that its attempt has closed does not ask whether it may end', async () => {
  const { reader, seen, upload, upstream } = setUp();
  const next = upstream.next();
  reader.close();
  expect((await next).done).toBe(true);
  expect(seen.ends).toBe(0);
  upload.dispose();
});
