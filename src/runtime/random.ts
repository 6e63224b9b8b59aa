/** A number in [0, 1). Injected so that a test can replay the same jitter. */
export type Random = () => number;

export const systemRandom: Random = Math.random;
