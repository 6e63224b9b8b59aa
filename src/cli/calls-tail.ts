import { Abort } from '../runtime/abort.ts';
import { systemClock } from '../runtime/clock.ts';
import { terminalLines } from '../runtime/terminal.ts';
import type { CallLine } from '../telemetry/call-log.ts';
import { type AdminAddress, AdminFailure, callAdmin, detailIn, jsonIn } from './admin-api.ts';
import type { Io } from './io.ts';

/** Interval of the questions. A call is shown within this time after it has ended. */
const EVERY_MS = 1_000;

/** The calls from before that are shown first. */
const FIRST = 10;

interface Call extends CallLine {
  readonly at: string;
  readonly message: string;
}

interface After {
  /** Notable calls since the start of the proxy. */
  readonly seen: number;
  /** Calls after the cursor that are no longer in memory. */
  readonly missed: number;
  /** Oldest first. */
  readonly calls: readonly Call[];
}

type Filter = Readonly<Record<string, string>>;

export interface TailOptions {
  readonly filter: Filter;
  /** One JSON object a line. */
  readonly json: boolean;
}

/** Follows the notable calls of a running proxy until SIGINT or SIGTERM. Throws an AdminFailure if it does not answer. */
export async function tailCalls(proxy: AdminAddress, { filter, json }: TailOptions, io: Io): Promise<void> {
  const stop = new Abort();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    io.onSignal(signal, () => stop.abort(new Error(signal)));
  let { seen } = await callsAfter(proxy, Number.MAX_SAFE_INTEGER, filter);
  seen = Math.max(0, seen - FIRST);
  while (!stop.aborted) {
    const found = await callsAfter(proxy, seen, filter);
    // The proxy has started again, and counts from 0.
    const restarted = found.seen < seen;
    if (!restarted) print(found, json, io);
    seen = restarted ? 0 : found.seen;
    if (!restarted) await pause(stop);
  }
}

async function callsAfter(proxy: AdminAddress, after: number, filter: Filter): Promise<After> {
  const query = new URLSearchParams({ ...filter, after: String(after) }).toString();
  const { status, body } = await callAdmin(proxy, { method: 'GET', path: `/api/calls?${query}` });
  if (status !== 200) throw new AdminFailure(detailIn(proxy, body) ?? `the proxy answered ${status}`);
  return jsonIn<After>(proxy, body);
}

function print({ calls, missed }: After, json: boolean, io: Io): void {
  if (missed > 0) io.err(`${missed} calls were so many at once that they are no longer in memory\n`);
  for (const call of calls)
    io.out(json ? `${JSON.stringify(call)}\n` : terminalLines(`${call.at}  ${call.id}  ${call.message}\n`));
}

async function pause(stop: Abort): Promise<void> {
  try {
    await systemClock.sleep(EVERY_MS, stop);
  } catch {
    // The command ends.
  }
}
