import { Readable } from 'node:stream';

/** A larger chunk is worth an object of its own. */
const SMALL_BYTES = 1_024;

const BLOCK_BYTES = 16 * 1024;

/**
 * Joins small chunks of an upload while it is paused. A client may send its bytes one by one. Node queues each of them as
 * an object of some 400 bytes, counts one byte for it, and asks for more until it has 64 KiB: one paused upload takes 28 MB.
 * The rule: the queue of an upload takes about what its bytes take. Each request comes here before its first byte.
 */
export function joinWhilePaused(stream: Readable): void {
  stream.push = pushUntilPaused;
}

/** Most uploads never pause: until one does, this is all that it costs. */
function pushUntilPaused(this: Readable, chunk: Buffer | null): boolean {
  if (!joins(this, chunk)) return Readable.prototype.push.call(this, chunk);
  this.push = joiningPush(this);
  return this.push(chunk);
}

const joins = (stream: Readable, chunk: Buffer | null): chunk is Buffer =>
  chunk !== null && chunk.length < SMALL_BYTES && stream.readableFlowing !== true;

function joiningPush(stream: Readable): (chunk: Buffer | null) => boolean {
  const push = Readable.prototype.push.bind(stream);
  let block: Buffer | undefined;
  let filled = 0;
  const flush = (): void => {
    const joined = block?.subarray(0, filled);
    block = undefined;
    filled = 0;
    if (joined !== undefined) push(joined);
  };
  stream.on('resume', flush);
  return (chunk) => {
    if (!joins(stream, chunk)) {
      flush();
      return push(chunk);
    }
    if (filled + chunk.length > BLOCK_BYTES) flush();
    block ??= Buffer.allocUnsafeSlow(BLOCK_BYTES);
    block.set(chunk, filled);
    filled += chunk.length;
    // Nothing more is asked for until it is resumed. The rest of the same packet still comes.
    return false;
  };
}
