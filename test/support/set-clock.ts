import { FakeClock } from './fake-clock.ts';

/** A wall clock that can be set while time stands still. */
export class SetClock extends FakeClock {
  setBy = 0;
  override wallTime(): number {
    return super.wallTime() + this.setBy;
  }
}
