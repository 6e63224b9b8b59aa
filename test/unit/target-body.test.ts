import { expect, test } from 'vitest';
import { EMPTY_BODY } from '../../src/http/bodies/request-body.ts';
import { changedBody } from '../../src/policies/targets/body.ts';
import { Abort } from '../../src/runtime/abort.ts';
import { stubCall } from '../support/stub-call.ts';

test('an attempt that has ended no longer waits for the body, so it is never sent', async () => {
  const arriving = Promise.withResolvers<readonly Buffer[]>();
  const body = { ...EMPTY_BODY, whole: () => arriving.promise };
  const call = stubCall({ headers: ['content-type', 'application/json'], body });
  const signal = new Abort();
  const changed = changedBody(call, [[['model'], 'm']], signal);
  signal.abort(new Error('another attempt has answered'));
  arriving.resolve([Buffer.from('{}')]);
  await expect(changed).rejects.toThrow('another attempt has answered');
  expect(signal.listenerCount).toBe(0);
});
