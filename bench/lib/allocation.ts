import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** One call frame of V8's sampling heap profile, with its allocations. */
export interface ProfileNode {
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  /** Bytes. */
  readonly selfSize: number;
  readonly children?: readonly ProfileNode[];
}

/** Allocated bytes by place, such as `report  telemetry/call-record.ts:103`. */
export function byPlace(root: ProfileNode): Map<string, number> {
  const places = new Map<string, number>();
  const nodes = [root];
  for (let node = nodes.pop(); node !== undefined; node = nodes.pop()) {
    const { functionName, url, lineNumber } = node.callFrame;
    // Several policies have files of the same name, so the folder is shown too.
    const file = url.startsWith('node:') ? url : url.split('/').slice(-2).join('/');
    const place = `${functionName || '(anonymous)'}  ${file}:${lineNumber + 1}`;
    places.set(place, (places.get(place) ?? 0) + node.selfSize);
    nodes.push(...(node.children ?? []));
  }
  return places;
}

export const total = (places: ReadonlyMap<string, number>): number =>
  [...places.values()].reduce((sum, bytes) => sum + bytes, 0);

/** Samples the process while `work` runs. It was started with the sampler, which writes to `file`. */
export async function sampled(pid: number, file: string, work: () => Promise<unknown>): Promise<ProfileNode> {
  process.kill(pid, 'SIGUSR2');
  // The other process handles the signal asynchronously.
  await sleep(200);
  await work();
  process.kill(pid, 'SIGWINCH');
  while (!existsSync(file)) await sleep(20);
  return (JSON.parse(readFileSync(file, 'utf8')) as { head: ProfileNode }).head;
}
