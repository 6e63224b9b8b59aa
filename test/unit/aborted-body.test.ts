import { expect, test } from 'vitest';
import { BufferedReply } from '../../src/http/bodies/buffered-reply.ts';
import { ObservedBody } from '../../src/http/bodies/observed-body.ts';
import { ByteBudget } from '../../src/http/byte-budget.ts';
import type { Reply } from '../../src/http/reply.ts';
import { PeekedBody } from '../../src/policies/error-rules/peeked-body.ts';
import { resume } from '../../src/policies/retry/resume/resume.ts';
import type { ResumeDeps } from '../../src/policies/retry/resume/rest.ts';
import { StubBody, sending, stubCall, through } from '../support/stub-call.ts';

const MEMORY = new ByteBudget(1_000_000);

/** A body that never ends by itself, as a stalled one. */
class StalledBody extends StubBody {
  aborted = false;

  abort(): void {
    this.aborted = true;
    this.end('broken');
  }
}

const observed = (reply: Reply): Reply => ({
  ...reply,
  body: new ObservedBody(reply.body, { write() {}, end() {} }),
});
const peeked = (reply: Reply): Reply => ({ ...reply, body: new PeekedBody(reply.body, MEMORY) });
const resumed = (reply: Reply): Promise<Reply> =>
  sending(through(resume({} as ResumeDeps), () => Promise.resolve(reply)))(stubCall());

test.each([
  ['observed', observed],
  ['peeked', peeked],
  ['resumed', resumed],
] as const)('a failed reply that is dropped ends its body through a body that is %s', async (_, wrapped) => {
  const body = new StalledBody();
  const reply = await wrapped({ status: 200, statusText: '', headers: ['ETag', '"1"'], body });
  expect(reply.body).not.toBe(body);
  new BufferedReply(reply, MEMORY).drop();
  expect(body.aborted).toBe(true);
});
