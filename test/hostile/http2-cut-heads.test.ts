import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';

test('an upstream that answers with too many fields over HTTP/2 does not end the process', {
  timeout: 60_000,
}, async () => {
  const program = spawn(process.execPath, ['--expose-gc', 'test/support/http2-cut-heads.ts']);
  const [said, complaints, [code]] = await Promise.all([
    text(program.stdout),
    text(program.stderr),
    once(program, 'close'),
  ]);
  expect([said, complaints.slice(0, 1_000), code]).toEqual(['alive\n', '', 0]);
});
