import type { Contender, Launched } from './contenders.ts';

/** A running contender. */
export interface Started {
  readonly name: string;
  readonly running: Launched;
}

/** Starts every contender. They run until the part ends. */
export async function startAll(contenders: readonly Contender[], originPort: number): Promise<Started[]> {
  const started: Started[] = [];
  for (const contender of contenders)
    started.push({ name: contender.name, running: await contender.launch(originPort) });
  return started;
}
