import { timingShape } from '../../http/path-shape.ts';
import type { Pulse } from '../../proxy/attempt-watch.ts';
import type { Call } from '../../proxy/call.ts';
import { UsualTime } from './usual-time.ts';

/** The most path shapes of one route. All others count as one shape. */
const MAX_SHAPES = 64;

/** The usual times of a route's attempts to their head, by shape of path. Only good answers are counted. */
export class UsualTimes {
  /** The latest answers of the whole upstream. */
  readonly pulse: Pulse;
  readonly #shapes = new Map<number, UsualTime>();
  readonly #others = new UsualTime();

  constructor(pulse: Pulse) {
    this.pulse = pulse;
  }

  usualOf({ method, target }: Pick<Call, 'method' | 'target'>): UsualTime {
    const shape = timingShape(method, target);
    const known = this.#shapes.get(shape);
    if (known !== undefined) return known;
    if (this.#shapes.size >= MAX_SHAPES) return this.#others;
    const usual = new UsualTime();
    this.#shapes.set(shape, usual);
    return usual;
  }
}
