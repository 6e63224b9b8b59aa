import type { ByteBudget } from '../byte-budget.ts';

/** Maximum size of a block that is grown for small chunks. */
const MAX_BLOCK_BYTES = 16 * 1024;

/** Smaller chunks are always copied, because their objects take more memory than their bytes. */
const SMALL_BYTES = 1_024;

/** The position of a reader. */
export interface ReadPosition {
  /** Number of the block, dropped ones included. */
  block: number;
  /** Offset in that block. */
  offset: number;
  /** Number of bytes before this position. */
  bytes: number;
}

export const start = (): ReadPosition => ({ block: 0, offset: 0, bytes: 0 });

interface Block {
  readonly buffer: Buffer;
  filled: number;
  /** Memory in bytes. */
  readonly takes: number;
}

/**
 * Buffers the bytes of a body; every buffered body uses this class. A peer can send single bytes. Each chunk is an object
 * that also retains the packet it arrived in, so small chunks are copied into blocks. Blocks grow with the body. The budget
 * counts their memory, not their content.
 */
export class BodyBuffer {
  readonly #memory: ByteBudget;
  #blocks: Block[] = [];
  /** Number of dropped blocks. */
  #dropped = 0;
  #bytes = 0;
  /** Number of bytes that were not dropped. */
  #held = 0;
  #chunks: readonly Buffer[] | undefined;

  constructor(memory: ByteBudget) {
    this.#memory = memory;
  }

  /** Number of bytes added, dropped ones included. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether some bytes were dropped. */
  get dropped(): boolean {
    return this.#dropped > 0;
  }

  /** Adds a chunk. False if the budget does not allow it. */
  tryAdd(chunk: Uint8Array): boolean {
    const takes = this.#newMemory(chunk);
    if (takes > 0 && !this.#memory.tryTake(takes)) return false;
    this.#append(chunk, takes);
    return true;
  }

  /** Adds a chunk even beyond the budget. It is counted, so that other bodies wait. */
  add(chunk: Uint8Array): void {
    const takes = this.#newMemory(chunk);
    this.#memory.take(takes);
    this.#append(chunk, takes);
  }

  /** The bytes after `position`, which advances; undefined if there are none. */
  next(position: ReadPosition): Buffer | undefined {
    // Blocks that the reader has finished may have been dropped.
    if (position.block < this.#dropped) Object.assign(position, { block: this.#dropped, offset: 0 });
    let block = this.#blocks[position.block - this.#dropped];
    if (block !== undefined && position.offset === block.filled) {
      block = this.#blocks[position.block + 1 - this.#dropped];
      if (block === undefined) return undefined;
      position.block++;
      position.offset = 0;
    }
    if (block === undefined) return undefined;
    const chunk = content(block, position.offset);
    position.offset = block.filled;
    position.bytes += chunk.length;
    return chunk;
  }

  /** All buffered bytes. Returns the same list until the content changes. */
  chunks(): readonly Buffer[] {
    this.#chunks ??= this.#blocks.map((block) => content(block, 0));
    return this.#chunks;
  }

  /** Drops the blocks that end before `bytes`. */
  dropBefore(bytes: number): void {
    let end = this.#bytes - this.#held;
    let count = 0;
    for (const block of this.#blocks) {
      end += block.filled;
      if (end > bytes) break;
      count++;
    }
    if (count > 0) this.#drop(count);
  }

  /** Drops all bytes. Lists from `chunks` stay valid. */
  release(): void {
    if (this.#blocks.length > 0) this.#drop(this.#blocks.length);
  }

  #drop(count: number): void {
    for (const { takes, filled } of this.#blocks.splice(0, count)) {
      this.#memory.give(takes);
      this.#held -= filled;
    }
    this.#dropped += count;
    this.#chunks = undefined;
  }

  /** The memory for a new block; 0 if the last one has room. */
  #newMemory(chunk: Uint8Array): number {
    const last = this.#blocks.at(-1);
    if (last !== undefined && last.buffer.length - last.filled >= chunk.length) return 0;
    if (staysAsItIs(chunk)) return chunk.buffer.byteLength;
    return Math.max(chunk.length, Math.min(this.#held, MAX_BLOCK_BYTES));
  }

  /** Most bodies have one block, and `push` would make room for seventeen. */
  #start(block: Block): void {
    if (this.#blocks.length === 0) this.#blocks = [block];
    else this.#blocks.push(block);
  }

  #append(chunk: Uint8Array, takes: number): void {
    this.#bytes += chunk.length;
    this.#held += chunk.length;
    this.#chunks = undefined;
    if (takes > 0) this.#start(newBlock(chunk, takes));
    const block = this.#blocks.at(-1);
    if (block === undefined || block.filled === block.buffer.length) return;
    block.buffer.set(chunk, block.filled);
    block.filled += chunk.length;
  }
}

function newBlock(chunk: Uint8Array, takes: number): Block {
  if (!staysAsItIs(chunk)) return { buffer: Buffer.allocUnsafeSlow(takes), filled: 0, takes };
  return { buffer: asBuffer(chunk), filled: chunk.length, takes };
}

const asBuffer = (chunk: Uint8Array): Buffer =>
  Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);

/** Whether a chunk is stored without a copy: it is large, and fills at least half of the memory that it retains. */
const staysAsItIs = (chunk: Uint8Array): boolean =>
  chunk.length >= SMALL_BYTES && chunk.length * 2 >= chunk.buffer.byteLength;

const content = ({ buffer, filled }: Block, from: number): Buffer =>
  from === 0 && filled === buffer.length ? buffer : buffer.subarray(from, filled);
