import { MemoryBody } from '../http/bodies/memory-body.ts';
import type { RawHeaders } from '../http/headers.ts';
import type { BodySink, Reply } from '../http/reply.ts';

const BYTES = [Buffer.from('ok')];

/** A reply whose two bytes are all here. */
export function simulatedReply(status: number, headers: RawHeaders = []): Reply {
  return {
    status,
    statusText: '',
    headers: ['Content-Length', '2', ...headers],
    body: new MemoryBody(BYTES),
  };
}

/** A client that reads and discards the body. */
export const SINK: BodySink = {
  destroyed: false,
  write: () => true,
  end: () => {},
  destroy: () => {},
  on: () => {},
};
