import type { Send } from '../proxy/pipeline.ts';
import type { Scenario } from './scenario.ts';
import type { Reached, SimulatedUpstream } from './upstream.ts';

type Counts = Pick<SimulatedUpstream, 'reached' | 'served' | 'shed' | 'wasted'>;

/** The upstream of a run, or one upstream for each of its targets. Targets share nothing. */
export class SimulatedUpstreams {
  readonly #all = new Map<string | undefined, SimulatedUpstream>();

  /** `names`: of the targets; unused if the scenario does not simulate targets. */
  constructor(
    scenario: Scenario,
    names: readonly string[],
    start: (scenario: Scenario) => SimulatedUpstream,
  ) {
    const { fault, targets } = scenario;
    if (targets === undefined) this.#all.set(undefined, start(scenario));
    else for (const name of names) this.#all.set(name, start({ ...scenario, fault: targets[name] ?? fault }));
  }

  /** That of the only upstream, or of the first target. */
  get send(): Send {
    const [first] = this.#all.values();
    return (first as SimulatedUpstream).send;
  }

  /** Undefined if the scenario does not simulate targets. */
  get sendTo(): ((name: string) => Send) | undefined {
    if (this.#all.has(undefined)) return undefined;
    return (name) => (this.#all.get(name) as SimulatedUpstream).send;
  }

  counts(): Counts {
    const counts = { reached: [] as Reached[], served: 0, shed: 0, wasted: 0 };
    for (const [target, { reached, served, shed, wasted }] of this.#all) {
      counts.reached = counts.reached.concat(reached.map((one) => ({ ...one, target })));
      counts.served += served;
      counts.shed += shed;
      counts.wasted += wasted;
    }
    counts.reached.sort((a, b) => a.atMs - b.atMs);
    return counts;
  }
}
