import type { DurableClient, Monitor } from './durable.ts';
import type { FakeClock } from './fake-clock.ts';
import { type Step, status } from './origin.ts';

/** A JSON reply. */
export const says = (value: unknown, headers: Record<string, string> = {}, code = 200): Step =>
  status(code, { 'content-type': 'application/json', ...headers }, JSON.stringify(value));

export const pending = says({ status: 'pending' });
export const settled = says({ status: 'settled', receipt: 'r-1' });

export const CONDITIONS = `success: [{ json: /status, in: [settled, captured] }],
        failure: [{ json: /status, in: [declined, expired], message: /failure_reason }, { status: 404 }]`;

/** `until` as the documentation has it. */
export const UNTIL = `until: { ${CONDITIONS},
        delay: { min: 2s, max: 2m }, deadline: 3d }`;

/** The monitor once the request waits after `polls` good answers. */
export function waiting(client: DurableClient, location: string, polls: number): Promise<Monitor> {
  return client.until(
    location,
    (monitor) => monitor.status === 'waiting' && pollsOf(monitor)?.count === polls,
  );
}

export function pollsOf({ polls }: Monitor): { count: number; seen: number; last?: string } | undefined {
  return polls as { count: number; seen: number; last?: string } | undefined;
}

/** How long the request waits from now on. */
export function waitOf({ next }: Monitor, clock: FakeClock): number {
  return Date.parse(next?.at ?? '') - clock.wallTime();
}

/** Advances time to the end of the request's wait. Returns its length. */
export async function pass(monitor: Monitor, clock: FakeClock): Promise<number> {
  const ms = waitOf(monitor, clock);
  // The runner sleeps for a minute at most.
  await clock.untilWaiting('runner.ts', Math.min(ms, 60_000));
  await clock.advance(ms);
  return ms;
}
