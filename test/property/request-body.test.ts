import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { apiConfig, startBreakwater } from '../support/breakwater.ts';
import { Changes } from '../support/changes.ts';

const SEED = 20_260_102;

/** An upstream that fails attempts after so many bytes of their body, resetting or answering early, and takes the last whole. */
interface Failure {
  readonly afterBytes: number;
  readonly how: 'reset' | 'early_503' | 'late_503';
}

const size = 4_000;
const plan = fc.record({
  /** The body's pieces; each goes out only once the one before has been seen by an attempt, or at once. */
  pieces: fc.array(fc.integer({ min: 1, max: size / 4 }), { minLength: 1, maxLength: 8, size: 'max' }),
  chunked: fc.boolean(),
  slow: fc.boolean(),
  failures: fc.array(
    fc.record({
      afterBytes: fc.integer({ min: 0, max: size }),
      how: fc.constantFrom<Failure['how']>('reset', 'early_503', 'late_503'),
    }),
    { maxLength: 2, size: 'max' },
  ),
  /** Above 64 KiB a body streams; below it is awaited, unless chunked. */
  large: fc.boolean(),
});

interface Seen {
  readonly bytes: Buffer;
  readonly complete: boolean;
}

/** Plays the failures in order, one per request, then answers 200. */
async function startFailing() {
  const state = { failures: [] as Failure[], seen: [] as Seen[], changes: new Changes() };
  const server = createServer((req, res) => serve(req, res, state));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return { state, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

type State = Awaited<ReturnType<typeof startFailing>>['state'];

function serve(req: IncomingMessage, res: ServerResponse, state: State): void {
  const failure = state.failures.shift();
  const index = state.seen.length;
  let bytes = Buffer.alloc(0);
  const note = () => {
    state.seen[index] = { bytes, complete: req.complete };
    state.changes.notify();
  };
  note();
  let failed = false;
  const fail = () => {
    if (failed || failure === undefined) return;
    failed = true;
    if (failure.how === 'reset') req.socket.resetAndDestroy();
    else res.writeHead(503, { 'content-length': 2 }).end('no');
  };
  req.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    note();
    if (failure !== undefined && failure.how !== 'late_503' && bytes.length >= failure.afterBytes) fail();
  });
  req.on('error', () => undefined);
  req.on('end', () => {
    note();
    if (failure === undefined) res.end('taken');
    else fail();
  });
}

test('each complete attempt gets exactly the client’s bytes, wherever the previous one broke', async () => {
  const { state, url } = await startFailing();
  const proxy = await startBreakwater(
    apiConfig({ url }, '    breaker: off\n    retry: { budget: { cap: 100000, refill: 1000/s } }\n'),
  );
  await fc.assert(
    fc.asyncProperty(plan, async ({ pieces, chunked, slow, failures, large }) => {
      state.failures = [...failures];
      state.seen = [];
      const unit = large ? 40 : 1;
      let next = 0;
      const parts = pieces.map((length) =>
        Buffer.from(Uint8Array.from({ length: length * unit }, () => next++ % 251)),
      );
      const whole = Buffer.concat(parts);
      const socket = connect(proxy.port, '127.0.0.1');
      let reply = '';
      const changes = new Changes();
      socket.on('data', (data) => {
        reply += data.toString('latin1');
        changes.notify();
      });
      socket.on('error', () => undefined);
      socket.write(
        `PUT /api/x HTTP/1.1\r\nhost: x\r\n${chunked ? 'transfer-encoding: chunked' : `content-length: ${whole.length}`}\r\n\r\n`,
      );
      let sent = 0;
      for (const part of parts) {
        socket.write(
          chunked
            ? Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')])
            : part,
        );
        sent += part.length;
        // Until what was sent so far has reached some attempt, where it streams.
        const reached = () =>
          state.seen.some(({ bytes }) => bytes.length >= sent) || reply.includes('\r\n\r\n');
        if (slow && (chunked || whole.length > 64 * 1024)) await state.changes.until(reached);
      }
      if (chunked) socket.write('0\r\n\r\n');
      await changes.until(() => /\r\n\r\n(?:taken|5\r\ntaken)/.test(reply) || /^HTTP\/1.1 5/.test(reply));
      expect(reply.slice(0, 12)).toBe('HTTP/1.1 200');
      expect(state.seen.at(-1)).toEqual({ bytes: whole, complete: true });
      for (const { bytes, complete } of state.seen) {
        const expected = complete ? whole : whole.subarray(0, bytes.length);
        expect(bytes.equals(expected)).toBe(true);
      }
      socket.destroy();
    }),
    { seed: SEED, numRuns: 100 },
  );
});
