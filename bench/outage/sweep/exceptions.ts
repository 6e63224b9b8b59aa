import { endpointsOf } from '../../../src/simulate/scenario.ts';
import type { Run } from '../../../src/simulate/simulate.ts';
import type { Trouble } from '../../../src/simulate/effect.ts';
import type { Case } from './draw.ts';

/** A kind of case in which Breakwater may be more than 3 points below no proxy at all. */
export interface Exception {
  readonly name: string;
  readonly applies: (drawn: Case, direct: Run) => boolean;
}

const LONG_WAIT_S = 10;

/** An attempt is suspected after four times the usual time. */
const SUSPECTED_TIMES = 4;

const someTrouble = ({ scenario }: Case, has: (trouble: Trouble) => boolean): boolean =>
  endpointsOf(scenario).some(({ troubles = [] }) => troubles.some(has));

const retryAfterS = ({ does }: Trouble): number =>
  does.kind === 'answers' && does.headers?.[0] === 'Retry-After' ? Number(does.headers[1]) : 0;

/** The first exception that applies explains a case. `bench/outage/README.md` gives the reasons. */
export const EXCEPTIONS: readonly Exception[] = [
  {
    name: 'the upstream is overloaded without us, too: its queue was full',
    applies: (_, direct) => direct.shed > 0,
  },
  {
    name: 'slower for everybody by more than four times, and no client has a time limit below ours',
    applies: (drawn) =>
      drawn.systemic &&
      someTrouble(drawn, ({ does }) => does.kind === 'slows' && does.times > SUSPECTED_TIMES),
  },
  {
    name: 'a 429 to some calls at random tells them to wait for ten seconds or more',
    applies: (drawn) =>
      someTrouble(
        drawn,
        (one) => one.does.kind === 'answers' && one.does.status === 429 && retryAfterS(one) >= LONG_WAIT_S,
      ),
  },
  {
    name: 'a limit of which no reply says anything',
    applies: (drawn) => someTrouble(drawn, ({ does }) => does.kind === 'limits' && does.tells === 'nothing'),
  },
  {
    name: 'all hangs from the first call on, so that nothing is known of the usual time',
    applies: (drawn) =>
      drawn.systemic &&
      drawn.scenario.faultAtMs === 0 &&
      someTrouble(drawn, ({ does }) => does.kind === 'hangs'),
  },
  {
    name: 'some endpoints fail every time, so that of all attempts most fail',
    applies: (drawn) =>
      !drawn.systemic &&
      someTrouble(
        drawn,
        ({ does, share }) => share === undefined && (does.kind === 'answers' || does.kind === 'breaks'),
      ),
  },
];
