import { Readable } from 'node:stream';

/** Chunks of this size or more are not joined. */
const SMALL_BYTES = 1_024;

const BLOCK_BYTES = 16 * 1024;

/**
 * Joins small chunks of an upload while it is paused, so that its queue takes about as much memory as its bytes. Node stores
 * each chunk as an object of about 400 bytes but counts only its bytes, up to 64 KiB. A client that sends single bytes would
 * use 28 MB per paused upload. Call it before the first byte arrives.
 */
export function joinWhilePaused(stream: Readable): void {
  stream.push = pushUntilPaused;
}

/** The cheap path until an upload pauses, which most never do. */
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
    // Stops reading until the stream is resumed. The rest of the same packet still arrives.
    return false;
  };
}
