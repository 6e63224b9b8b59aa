import type { ByteBudget } from '../byte-budget.ts';

/** A block is no larger than this. */
const MAX_BLOCK_BYTES = 16 * 1024;

/** A smaller chunk is always copied: the object around it takes more than it holds. */
const SMALL_BYTES = 1_024;

/** How far somebody has read. */
export interface ReadPosition {
  /** Number of the block, counted from the first that ever was. */
  block: number;
  /** In that block. */
  offset: number;
  /** All bytes before it. */
  bytes: number;
}

export const start = (): ReadPosition => ({ block: 0, offset: 0, bytes: 0 });

interface Block {
  readonly buffer: Buffer;
  filled: number;
  /** What it really takes. */
  readonly takes: number;
}

/**
 * The bytes of a body that stay in memory. The rule: every body that is held is held by this class. A peer may send its
 * bytes one by one. Each of them is an object, and each holds the packet that it came in. So small chunks are copied into
 * blocks. The blocks grow with the body, so that a small body takes little. The budget counts what the blocks take, and
 * not what they hold.
 */
export class BodyBuffer {
  readonly #memory: ByteBudget;
  #blocks: Block[] = [];
  /** Blocks that were dropped. */
  #dropped = 0;
  #bytes = 0;
  /** Of those, what is still here. */
  #held = 0;
  #chunks: readonly Buffer[] | undefined;

  constructor(memory: ByteBudget) {
    this.#memory = memory;
  }

  /** All that was ever added. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether some of it is no longer here. */
  get dropped(): boolean {
    return this.#dropped > 0;
  }

  /** False where the budget has no room for it. */
  tryAdd(chunk: Uint8Array): boolean {
    const takes = this.#newMemory(chunk);
    if (takes > 0 && !this.#memory.tryTake(takes)) return false;
    this.#append(chunk, takes);
    return true;
  }

  /** Adds also what the budget has no room for. It is counted all the same, so that others wait. */
  add(chunk: Uint8Array): void {
    const takes = this.#newMemory(chunk);
    this.#memory.take(takes);
    this.#append(chunk, takes);
  }

  /** What follows `position`, which is moved behind it. */
  next(position: ReadPosition): Buffer | undefined {
    // What it had read to its end may be gone.
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

  /** All that is here. The same list until more is added. */
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

  /** Lets go of all of it. Who took `chunks` may go on using them. */
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

  /** 0 where the last block has room for it. */
  #newMemory(chunk: Uint8Array): number {
    const last = this.#blocks.at(-1);
    if (last !== undefined && last.buffer.length - last.filled >= chunk.length) return 0;
    if (staysAsItIs(chunk)) return chunk.buffer.byteLength;
    return Math.max(chunk.length, Math.min(this.#held, MAX_BLOCK_BYTES));
  }

  #append(chunk: Uint8Array, takes: number): void {
    this.#bytes += chunk.length;
    this.#held += chunk.length;
    this.#chunks = undefined;
    if (takes > 0) this.#blocks.push(newBlock(chunk, takes));
    const block = this.#blocks.at(-1);
    if (block === undefined || block.filled === block.buffer.length) return;
    block.buffer.set(chunk, block.filled);
    block.filled += chunk.length;
  }
}

function newBlock(chunk: Uint8Array, takes: number): Block {
  if (!staysAsItIs(chunk)) return { buffer: Buffer.allocUnsafeSlow(takes), filled: 0, takes };
  const { buffer, byteOffset, length } = chunk;
  return { buffer: Buffer.from(buffer, byteOffset, length), filled: length, takes };
}

/** A large chunk that fills at least half of the memory that it holds is not worth a copy. */
const staysAsItIs = (chunk: Uint8Array): boolean =>
  chunk.length >= SMALL_BYTES && chunk.length * 2 >= chunk.buffer.byteLength;

const content = ({ buffer, filled }: Block, from: number): Buffer =>
  from === 0 && filled === buffer.length ? buffer : buffer.subarray(from, filled);
