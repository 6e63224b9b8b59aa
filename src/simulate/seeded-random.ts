import type { Random } from '../runtime/random.ts';

/** mulberry32: the same seed gives the same numbers on every machine. 32 bits of state are enough for a simulation. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    return mixed(state);
  };
}

/**
 * A number in [0, 1) that depends only on its arguments. It is the same whatever other numbers are drawn, so that two policies
 * are compared under the same random events.
 */
export function rollOf(seed: number, text: string): number {
  return mixed(hashOf(seed, text));
}

/** A seed for a separate stream: draws from one stream do not change another. */
export function subSeed(seed: number, stream: string): number {
  return hashOf(seed, stream);
}

/** Exponentially distributed with this mean: the gaps of a Poisson process. */
export function exponential(mean: number, random: Random): number {
  return -mean * Math.log(1 - random());
}

/** FNV-1a over the text, begun with the seed. */
function hashOf(seed: number, text: string): number {
  let hash = (0x811c9dc5 ^ Math.imul(seed, 0x9e3779b1)) >>> 0;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  return hash;
}

function mixed(state: number): number {
  let bits = Math.imul(state ^ (state >>> 15), state | 1);
  bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
  return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
}
