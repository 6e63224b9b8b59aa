import type { Fleet } from '../fleet/fleet.ts';
import { LEARNED_WINDOWS } from '../fleet/plan.ts';
import type { NumberedWindow } from '../policies/quota/shared-credential.ts';

/** Numbers the windows of a limit that an upstream has stated, so that all replicas count in the same one. */
export class WindowNumbers {
  readonly #fleet: Pick<Fleet, 'ask'>;
  readonly #fact: string;
  /** The number of the window and its length, as they were last seen in the store. */
  #known = '';

  constructor(fleet: Pick<Fleet, 'ask'>, fact: string) {
    this.#fleet = fleet;
    this.#fact = fact;
  }

  /** See `LearnedUnits.window`. */
  async find(
    ended: number | undefined,
    resetMs: number,
    windowMs: number,
  ): Promise<NumberedWindow | undefined> {
    const isKnown = ended !== undefined && numberOf(this.#known) === ended;
    const advanced = isKnown ? await this.#advance(this.#known, resetMs, windowMs) : undefined;
    return advanced ?? this.#join((ended ?? -1) + 1, resetMs, windowMs);
  }

  /** The next window begins, unless another replica has begun it. */
  async #advance(from: string, resetMs: number, windowMs: number): Promise<NumberedWindow | undefined> {
    const number = numberOf(from) + 1;
    const next = `${number} ${windowMs}`;
    const ms = countedAgainMs(windowMs) + resetMs;
    const done = await this.#fleet.ask((engine) => engine.exchange(this.#fact, from, next, ms));
    if (done?.answer !== true) return undefined;
    this.#known = next;
    return { number, windowMs, first: true };
  }

  /** The window in the store; `number` if there is none. */
  async #join(number: number, resetMs: number, windowMs: number): Promise<NumberedWindow | undefined> {
    const text = `${number} ${windowMs}`;
    const ms = countedAgainMs(windowMs) + resetMs;
    const claimed = await this.#fleet.ask((engine) => engine.claim(this.#fact, text, ms));
    if (claimed === undefined) return undefined;
    const there = claimed.answer;
    this.#known = there?.text ?? text;
    if (there === undefined) return { number, windowMs, first: true };
    const found = windowOf(there.text);
    if (found === undefined) return undefined;
    const isOver = there.leftMs <= countedAgainMs(found.windowMs);
    const next = isOver ? await this.#advance(there.text, resetMs, windowMs) : undefined;
    return next ?? { ...found, first: false };
  }
}

/** Within this time, no window is counted again. What is left of it tells when the current one ends. */
const countedAgainMs = (windowMs: number): number => (LEARNED_WINDOWS - 1) * windowMs;

const numberOf = (text: string): number => Number.parseInt(text, 10);

/** Undefined: another version has written the text. */
function windowOf(text: string): Pick<NumberedWindow, 'number' | 'windowMs'> | undefined {
  const [number = Number.NaN, windowMs = Number.NaN] = text.split(' ').map(Number);
  return Number.isSafeInteger(number) && number >= 0 && windowMs > 0 ? { number, windowMs } : undefined;
}
