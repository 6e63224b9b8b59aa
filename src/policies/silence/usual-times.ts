import { timingShape } from '../../http/path-shape.ts';
import type { Expectation, Pulse } from '../../proxy/attempt-watch.ts';
import type { Call } from '../../proxy/call.ts';
import { Usual } from './usual-time.ts';

/** No attempt is suspected earlier: a healthy API pauses for a second or two now and then. */
const MIN_PATIENCE_MS = 2_000;

/** A suspected attempt has taken this many times as long as nine in ten do. */
const PATIENCE_FACTOR = 4;

/** Shapes that are told apart on one route. All others are one. */
const MAX_SHAPES = 64;

/** What is usual on one route, by shape of path. It is learned from good answers alone. */
export class Pace {
  /** Of the whole upstream. */
  readonly pulse: Pulse;
  readonly #shapes = new Map<number, Usual>();
  readonly #others = new Usual();

  constructor(pulse: Pulse) {
    this.pulse = pulse;
  }

  usualOf({ method, target }: Pick<Call, 'method' | 'target'>): Usual {
    const shape = timingShape(method, target);
    const known = this.#shapes.get(shape);
    if (known !== undefined) return known;
    if (this.#shapes.size >= MAX_SHAPES) return this.#others;
    const usual = new Usual();
    this.#shapes.set(shape, usual);
    return usual;
  }
}

export function expectationOf(usual: Usual, totalMs: number): Expectation {
  const { longest, most } = usual;
  const patienceMs =
    most === undefined ? Number.POSITIVE_INFINITY : Math.max(MIN_PATIENCE_MS, PATIENCE_FACTOR * most);
  return { patienceMs, usualMs: most, longestMs: longest, totalMs, usual };
}
